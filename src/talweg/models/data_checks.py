"""What is checked on the host before a model trains: XLA has no errors at run time."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from talweg import losses
from talweg.core import errors
from talweg.core.variables import lend
from talweg.data.batches import Sample
from talweg.data.host import holds_arrays
from talweg.data.open import is_stream
from talweg.layers import Dense, Layer


def split(x: Any, y: Any, weight: Any, fraction: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The first part to train on, the last `fraction` to validate on, before shuffling.

    Raises:
        ValueError: the fraction is not between 0 and 1, or leaves one part without rows.
        TypeError: the data is a stream.
    """
    if isinstance(fraction, bool) or not 0 < fraction < 1:
        raise errors.invalid("fit", "validation_split", "between 0 and 1", fraction)
    if is_stream(x):
        raise errors.wrong_type(
            "fit", "validation_split", "used with arrays", x, "Pass validation_data instead."
        )
    rows = _rows(x)
    at = int(rows * (1 - fraction))
    if not 0 < at < rows:
        raise errors.invalid(
            "fit", "validation_split", "a part that leaves rows on both sides", fraction,
            f"There are {rows} rows.",
        )  # fmt: skip

    def cut(part: slice) -> tuple[Any, ...]:
        def take(value: Any) -> Any:
            if value is None:
                return None
            if hasattr(value, "iloc"):
                return value.iloc[part]
            if isinstance(value, dict):
                return {key: take(item) for key, item in value.items()}
            if holds_arrays(value):
                return tuple(take(item) for item in value)
            return value[part]

        return take(x), take(y), take(weight)

    train, held = cut(slice(None, at)), cut(slice(at, None))
    return train, held if held[2] is not None else held[:2]


def _rows(value: Any) -> int:
    """How many rows a table, an array, nested lists, or the first of several inputs have."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if holds_arrays(value):
        return _rows(next(item for item in value if item is not None))
    return len(value)


def check_structure(model: Any, sample: Sample) -> None:
    """Hints about inputs that are legal but seldom meant."""
    for leaf in jax.tree.leaves(sample.x):
        if leaf.dtype != np.uint8 or np.asarray(leaf).max(initial=0) <= 16:
            continue
        kinds = {type(layer).__name__ for layer in model._flatten_layers()}
        if not kinds & {"Rescaling", "Normalization", "BatchNormalization", "Embedding"}:
            warnings.warn(
                "x holds whole numbers from 0 to 255 (uint8) and the model does not scale "
                "them; training seldom works so. Divide by 255, or begin with Rescaling(1/255).",
                UserWarning,
                stacklevel=4,
            )


def check_objectives(model: Any, sample: Sample, outputs: Any) -> None:
    """Hints about losses that do not fit the head of the model."""
    for loss in model.objectives.losses:
        if losses.expects_probabilities(loss) and linear_head(model):
            warnings.warn(
                f"{type(loss).__name__ if not hasattr(loss, 'name') else loss.name} expects "
                "probabilities, but the last layer is linear. Add activation='sigmoid' or "
                "'softmax' to it, or use the loss with from_logits=True.",
                UserWarning,
                stacklevel=4,
            )


def linear_head(model: Any) -> bool:
    """Whether the last layer is a Dense without activation."""
    chain = _chain_of(model)
    last = chain[-1] if chain else None
    activation = getattr(last, "activation", None)
    return getattr(activation, "__name__", "") == "linear" and type(last) is Dense


def _chain_of(model: Any) -> Sequence[Layer]:
    return getattr(model, "_chain", ())  # models of others may come here, too


def check_inputs(model: Any, sample: Sample) -> None:
    """Refuse inputs that the first layer would compute nonsense from.

    Only the first layer of a chain is sure to be given the inputs as they are; the layers of
    other models are looked at where the numbers have turned to nonsense.

    Raises:
        ValueError: an index that an Embedding does not have, naming its row.
    """
    chain = _chain_of(model)
    check = getattr(chain[0], "check_inputs_host", None) if chain else None
    if check is not None:
        check(np.asarray(jax.tree.leaves(sample.x)[0]))


def check_values(model: Any, sample: Sample, outputs: Any) -> None:
    """Refuse targets and indices that would compute to nonsense.

    Raises:
        ValueError: naming the row and the remedy.
    """
    check_inputs(model, sample)
    if sample.y is None:
        return
    checks = model.objectives.checks()
    targets = model.objectives.targets(sample.y) if checks else []
    for i, check in checks:
        if targets[i] is not None:
            output = jax.tree.leaves(outputs)[i]
            check(np.asarray(targets[i]), (None, *output.shape[1:]))


def layers_that_check(model: Any) -> list[Any]:
    """The layers that refuse some inputs, though not inside a compiled program."""
    return [layer for layer in model._flatten_layers() if hasattr(layer, "check_inputs_host")]


def ask_layers(model: Any, x: Any) -> None:
    """Run a batch uncompiled, so that every layer can look at its values.

    Raises:
        ValueError: what a layer says.
    """
    variables = model.variables
    with lend(variables, [variable.value for variable in variables]):
        model(x, training=False)


def classes_of(outputs: Any, y: Any) -> int | None:
    """How many classes a model of one output tells apart; None where that is unknown."""
    leaves = jax.tree.leaves(outputs)
    if len(leaves) != 1 or len(leaves[0].shape) != 2:
        return None
    units = leaves[0].shape[-1]
    if units != 1:
        return units
    labels = np.unique(np.asarray(jax.tree.leaves(y)[0]))
    return 2 if np.isin(labels, (0, 1)).all() else None
