"""TrainState: all that a step reads and writes, one pytree."""

from typing import Any, NamedTuple

# The value of `first_bad` while every step was fine: later than any step.
NEVER = 2**31 - 1


class TrainState(NamedTuple):
    """What training changes.

    Attributes:
        params: the arrays that the optimizer moves.
        fixed: the arrays that the model itself updates: statistics, seeds.
        optimizer: an `OptimizerState`.
        metrics: the running state of loss and metrics.
        logs: what a step that was overridden by the user returned, else empty.
        first_bad: the first iteration whose loss was not finite; `NEVER` if none.
            From there on the state stands still.
        key: the random key of a model that is given one; None for models that keep
            their seeds in `fixed`.
    """

    params: Any
    fixed: Any
    optimizer: Any
    metrics: Any
    logs: Any
    first_bad: Any
    key: Any = None
