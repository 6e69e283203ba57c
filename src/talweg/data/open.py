"""Which kind of Batches some data makes."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.data.arrays import ArrayBatches
from talweg.data.batches import Batches, Sample
from talweg.data.py_dataset import PyDataset
from talweg.data.streams import StreamBatches


def open_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    seed: int = 0,
    class_weight: Mapping[int, float] | None = None,
    classes: int | None = None,
) -> Batches:
    """Batches over arrays, tables, generators, datasets or loaders.

    Args:
        x, y, sample_weight: the data; a stream brings its own y and weights in x.
        batch_size: rows per step, 32 by default; a stream has its own.
        steps: steps per epoch.
        shuffle: True, False or "batch".
        seed: of the order.
        class_weight: `{class: weight}`, multiplied into the weights.
        classes: how many classes the model has; class weights beyond are refused.

    Raises:
        ValueError: a batch size that is no positive integer, y given beside a stream, …
    """
    if batch_size is not None and (
        isinstance(batch_size, bool)
        or not isinstance(batch_size, (int, np.integer))
        or batch_size < 1
    ):
        raise errors.invalid("fit", "batch_size", "a positive integer", batch_size)
    if steps is not None and (not isinstance(steps, (int, np.integer)) or steps < 1):
        raise errors.invalid("fit", "steps_per_epoch", "a positive integer", steps)
    if shuffle not in (True, False, "batch"):
        raise errors.invalid("fit", "shuffle", 'True, False or "batch"', shuffle)
    if _is_stream(x):
        given = [name for name, v in (("y", y), ("sample_weight", sample_weight)) if v is not None]
        if given:
            raise errors.invalid(
                "fit", given[0], "part of the batches when x is a stream", "a separate argument",
                "Let the stream yield (x, y, sample_weight).",
            )  # fmt: skip
        weigh = None
        if class_weight is not None:
            weigh = lambda sample: weigh_classes(sample, class_weight, classes)  # noqa: E731
        return StreamBatches(x, steps, shuffle, seed, weigh)
    check_index(x, y)
    batches = ArrayBatches(x, y, sample_weight, int(batch_size or 32), shuffle, seed, steps)
    if class_weight is not None:
        host = weigh_classes(batches.host, class_weight, classes)
        batches = ArrayBatches(*host, int(batch_size or 32), shuffle, seed, steps)
    return batches


def _is_stream(x: Any) -> bool:
    if isinstance(x, (PyDataset, Mapping, list, tuple, str)) or hasattr(x, "shape"):
        return isinstance(x, PyDataset)
    return hasattr(x, "__iter__") or hasattr(x, "__next__")


def check_index(x: Any, y: Any) -> None:
    """Refuse pandas x and y whose rows are labelled differently."""
    if hasattr(x, "index") and hasattr(y, "index") and hasattr(x, "iloc") and hasattr(y, "iloc"):
        same = len(x) == len(y) and not (x.index == y.index).all()
        if same:
            raise ValueError(
                "x and y are pandas objects with different row labels, so their rows may not "
                "belong together. Align them (y = y.loc[x.index]) or pass y.to_numpy()."
            )


def weigh_classes(
    sample: Sample, class_weight: Mapping[int, float], classes: int | None = None
) -> Sample:
    """Multiply class weights into the sample weights; a class that is not named weighs 1.

    Raises:
        ValueError: a weight for a class that the model does not have.
    """
    y = np.asarray(jax.tree.leaves(sample.y)[0])
    if y.ndim > 1 and y.shape[-1] > 1:
        y = y.argmax(-1)
    labels = y.reshape(len(y), -1)[:, 0].astype(np.int64)
    if classes is not None and classes > 1:
        beyond = [c for c in class_weight if not 0 <= int(c) < classes]
        if beyond:
            raise errors.invalid(
                "fit", "class_weight", f"for classes 0 to {classes - 1}", beyond[0],
                f"The model has {classes} outputs.",
            )  # fmt: skip
    values = np.ones(max(int(labels.max(initial=0)), *map(int, class_weight)) + 1, np.float32)
    for label, value in class_weight.items():
        values[int(label)] = float(value)
    weight = values[labels]
    if sample.weight is not None:
        given = np.asarray(sample.weight)
        weight = weight.reshape(-1, *[1] * (given.ndim - 1)) * given
    return sample._replace(weight=weight)
