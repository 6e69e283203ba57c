"""What is compared: optimizers under labels, rates on a grid, folds of the data."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from talweg import optimizers
from talweg.core import errors
from talweg.core.names import to_snake_case
from talweg.core.random import host_generator
from talweg.optimizers import Optimizer
from talweg.optimizers.composed import Composed, Wrapper

GRID = 9
MULTIPLES = (1e-2, 1e2)


def nameable() -> list[str]:
    """The optimizers that a name is enough for: those that are not made of others."""
    classes = optimizers.catalog.classes().items()
    return sorted(name.lower() for name, cls in classes if not issubclass(cls, Composed))


def labelled(given: Any) -> dict[str, Optimizer]:
    """Optimizers by label, from names, classes, instances, or a mapping of them.

    Raises:
        ValueError: none at all, an unknown name.
        TypeError: something else among them.
    """
    if isinstance(given, (str, Optimizer)) or inspect.isclass(given):
        given = [given]
    pairs = given.items() if isinstance(given, Mapping) else ((None, item) for item in given)
    result: dict[str, Optimizer] = {}
    for label, item in pairs:
        optimizer = optimizers.get(item)
        if optimizer is None:
            raise errors.wrong_type("compare", "optimizers", "optimizers or their names", given)
        # A copy: the comparison must not build or change the user's own.
        optimizer = type(optimizer).from_config(optimizer.get_config())
        if optimizer.listens_to_epochs:
            raise errors.invalid(
                "compare", "optimizers", "without phases that are counted in epochs", optimizer,
                "Count them in steps: Phases([(optimizer, Steps(1000)), …]).",
            )  # fmt: skip
        label = label or (item.lower() if isinstance(item, str) else _described(optimizer))
        free, count = label, 1
        while free in result:
            count += 1
            free = f"{label} {count}"
        result[free] = optimizer
    if not result:
        raise errors.invalid("compare", "optimizers", "at least one", given)
    return result


def _described(optimizer: Optimizer) -> str:
    text = repr(optimizer)
    name, _, arguments = text.partition("(")
    kept = [part for part in arguments[:-1].split(", ") if part and "learning_rate" not in part]
    return f"{to_snake_case(name)}({', '.join(kept)})" if kept else to_snake_case(name)


def rates_for(
    optimizer: Optimizer, given: Iterable[float] | None, count: int = GRID, owner: str = "compare"
) -> list[float]:
    """The rates to try: those given, or a log grid of `count` over the range the class declares.

    Where the rate follows a schedule, or parts have rates of their own, multiples of it.

    Raises:
        ValueError: a rate outside the interval, or none.
    """
    declaration = optimizer.hypers.get(optimizer.free_rate, Optimizer.hypers["learning_rate"])
    inside = optimizer
    while isinstance(inside, Wrapper):
        inside = inside.inner_optimizer
    if optimizer.free_rate == "rate_multiplier":
        low, high = MULTIPLES
    else:
        declaration = inside.hypers["learning_rate"]
        low, high = declaration.search or (1e-5, 1e-1)
    if given is None:
        return [float(f"{rate:.4g}") for rate in np.geomspace(low, high, count)]
    name = "learning_rates" if owner == "compare" else "rates"
    if not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.wrong_type(owner, name, "a list of numbers, as [1e-3, 1e-2]", given)
    rates = [declaration.check(type(optimizer).__name__, rate) for rate in given]
    if not rates or len(set(rates)) < len(rates):
        raise errors.invalid(owner, name, "different numbers, at least one", rates)
    return rates


def splits(
    y: np.ndarray, folds: Any, groups: Any, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of training and validation rows.

    Args:
        y: the targets.
        folds: how many, or a scikit-learn splitter. An integer is stratified where y holds
            classes, by group where groups are given, and shuffled.
        groups: a label per row; rows of one group stay together.
        seed: of the shuffle.

    Raises:
        ValueError: fewer rows, or fewer of a class, than folds.
    """
    rows, classes = len(y), class_codes(y)
    if isinstance(folds, (int, np.integer)) and not isinstance(folds, bool):
        if not 2 <= folds <= rows:
            raise errors.invalid("compare", "folds", f"in [2, {rows}] for {rows} rows", folds)
        if groups is None:
            return _dealt(np.zeros(rows, int) if classes is None else classes, int(folds), seed)
        selection = errors.extra("sklearn.model_selection", "data", "compare with groups")
        stratified = selection.StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        folds = selection.GroupKFold(folds) if classes is None else stratified
    if not hasattr(folds, "split"):
        raise errors.wrong_type("compare", "folds", "a number or a scikit-learn splitter", folds)
    pairs = list(folds.split(np.zeros(rows), y if classes is None else classes, groups))
    for train, held in pairs:
        if not len(train) or not len(held):
            raise errors.invalid("compare", "folds", "a splitter without empty parts", folds)
    return [(np.asarray(a, np.int32), np.asarray(b, np.int32)) for a, b in pairs]


def _dealt(classes: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows dealt to the folds like cards, shuffled, one class after another.

    The folds differ by one row at most, also within each class: a stratified k-fold. Done
    here because importing scikit-learn's takes as long as several of the trainings.
    """
    rarest = int(np.unique(classes, return_counts=True)[1].min())
    if rarest < folds:
        raise errors.invalid(
            "compare", "folds", f"at most {rarest}, the rows of the rarest class", folds,
            "Use fewer folds, merge rare classes, or pass sklearn's KFold.",
        )  # fmt: skip
    shuffled = host_generator(seed).permutation(len(classes))
    cards = shuffled[np.argsort(classes[shuffled], kind="stable")]
    fold = np.empty(len(classes), np.int32)
    fold[cards] = np.arange(len(classes)) % folds
    return [
        (np.flatnonzero(fold != i).astype(np.int32), np.flatnonzero(fold == i).astype(np.int32))
        for i in range(folds)
    ]


def class_codes(y: np.ndarray) -> np.ndarray | None:
    """A class number per row where y holds classes, else None."""
    if y.ndim == 2 and y.shape[1] > 1:
        one_hot = np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all()
        return y.argmax(axis=1) if one_hot else None
    flat = y.reshape(len(y), -1)[:, 0] if y.ndim > 1 else y
    if y.ndim > 2:
        return None
    if flat.dtype.kind in "biu":
        return flat.astype(np.int64) if len(np.unique(flat)) <= max(20, len(flat) // 20) else None
    whole = flat.dtype.kind == "f" and np.isin(flat, (0.0, 1.0)).all()
    return flat.astype(np.int64) if whole else None
