"""How callbacks reach the learning rate.

The rate of a step is (constant or schedule(step)) × multiplier. A callback moves the
constant, or under a schedule the multiplier: whichever factor is free.
"""

from typing import Any

from talweg.core import errors


def optimizers_of(owner: str, model: Any) -> list[tuple[str, Any]]:
    """The optimizers of a model with a label each: "" for the only one, else its name.

    Raises:
        ValueError: the model has no optimizer.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise errors.invalid(
            owner, "model.optimizer", "an optimizer", None, "Call model.compile(...) first."
        )
    inner = getattr(optimizer, "optimizers", None)
    if inner is None:
        return [("", optimizer)]
    return [(each.name, each) for each in inner]


def set_rate(owner: str, optimizer: Any, rate: float) -> None:
    """Make `rate` the rate of the next step, by the factor that is free.

    Raises:
        ValueError: the other factor is 0, so that no value of the free one gives `rate`.
    """
    constant = optimizer.schedule is None
    fixed = float(optimizer.rate_multiplier if constant else optimizer.learning_rate)
    if fixed == 0.0:
        factor = "rate_multiplier" if constant else "schedule"
        expected = f"above 0 for a rate of {rate:g}"
        raise errors.invalid(owner, f"the optimizer's {factor}", expected, fixed)
    if constant:
        optimizer.learning_rate = rate / fixed
    else:
        optimizer.rate_multiplier = rate / fixed


def log_rates(owner: str, model: Any, logs: dict[str, Any]) -> None:
    """Write the present rates into `logs`, as "learning_rate" or one key per optimizer."""
    for label, optimizer in optimizers_of(owner, model):
        logs[f"learning_rate_{label}" if label else "learning_rate"] = float(optimizer.rate)
