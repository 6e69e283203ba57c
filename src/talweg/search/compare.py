"""The main job: which optimizer, at which rate, for this model and this data?

All rates, folds and seeds of one optimizer train side by side in one compiled program
(`training.population`). A member's initial weights and shuffles depend on its seed and
its fold only, so members that differ in the rate alone are compared in pairs.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from talweg import losses
from talweg.core import errors, random
from talweg.core.compilation import SHORT_RUN
from talweg.data.batches import Sample
from talweg.data.host import check_rows, to_host
from talweg.models import Model, data_checks
from talweg.search.candidates import class_codes, labelled, rates_for, splits
from talweg.search.comparison import Comparison, Recipe, Trial
from talweg.search.members import Member, Run, Start, validation
from talweg.search.progress import Progress

# Numbers that steps may read until it pays to compile them well; about 10 seconds of steps.
_SHORT = 1 << 29


def compare(
    build: Callable[[], Model],
    x: Any,
    y: Any,
    *,
    optimizers: Any = ("sgd", "adam", "rmsprop", "adagrad", "nadam"),
    learning_rates: Iterable[float] | None = None,
    folds: Any = 5,
    seeds: int = 1,
    epochs: int = 20,
    batch_size: int = 32,
    monitor: str = "val_loss",
    verbose: int | str = "auto",
    loss: Any = None,
    metrics: Any = None,
    groups: Any = None,
    transform: Callable[[], Any] | None = None,
    target_transform: Callable[[], Any] | None = None,
    seed: int = 0,
    memory: int = 2**30,
) -> Comparison:
    """Train every optimizer at every rate on every fold, and say which is best.

    Args:
        build: returns a new model, compiled (its loss and metrics are used) or not.
        x: arrays or a table, rows first.
        y: targets.
        optimizers: names, classes, instances, or `{label: instance}`.
        learning_rates: the rates to try; by default 9 on a log grid over the range that
            each class declares. With a schedule they are what it is multiplied by.
        folds: a number (stratified where y holds classes), or a scikit-learn splitter.
        seeds: how many initial weights and orders per fold.
        epochs: how long each member trains.
        batch_size: rows per step.
        monitor: what is compared, after the last epoch: "val_loss", "val_accuracy", …
        verbose: 0 silent, 1 or "auto" shows progress.
        loss, metrics: for a model that is not compiled; chosen by its output where None.
        groups: a label per row; rows of one group stay in one fold.
        transform: makes a scikit-learn transformer for x, fitted on each fold's training
            part only.
        target_transform: the same for y.
        seed: of folds, weights and orders.
        memory: bytes that the members trained at once may take; more run one after
            another.

    Returns:
        A `Comparison`.

    Raises:
        ValueError: data, folds, rates or a monitor that make no comparison.

    Example:
        >>> import talweg
        >>> from talweg.layers import Dense
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(60, 4)).astype("float32")
        >>> y = x @ np.array([[1.0], [2.0], [0.0], [-1.0]], "float32")
        >>> def build():
        ...     return talweg.Sequential([Dense(1, input_dim=4)])
        >>> result = talweg.compare(
        ...     build, x, y, optimizers=["sgd"], learning_rates=[1e-4, 0.1],
        ...     folds=2, epochs=3, verbose=0)
        >>> result.best.optimizer, result.best.learning_rate
        ('sgd', 0.1)
    """
    if isinstance(build, Model) or not callable(build):
        raise errors.wrong_type("compare", "build", "a function that returns a new model", build)
    _check_counts(seeds=seeds, epochs=epochs, batch_size=batch_size)
    chosen = labelled(optimizers)
    grids = {label: rates_for(optimizer, learning_rates) for label, optimizer in chosen.items()}
    host_y = _targets(y)
    pairs = splits(host_y, folds, groups, seed)
    data, offsets = _data(x, host_y, pairs, transform, target_transform)
    sample = jax.tree.map(lambda a: a[: min(batch_size, len(a))], data)
    with random.preserved():
        starts = _starts(build, seed, seeds, len(pairs), sample)
        model = starts[0].model
        if not model.compiled:
            _compile(model, host_y, loss, metrics)
        outputs = model.prepare(sample)
        data_checks.check_values(model, jax.tree.map(np.asarray, data), outputs)
        higher = _higher_is_better(model, monitor)
        model.reset_metrics()
        total = sum(map(len, grids.values())) * len(starts) * epochs
        steps = total * -(-max(len(train) for train, _ in pairs) // batch_size)
        options = SHORT_RUN if steps * _numbers(model, sample) < _SHORT else {}
        testing = validation(model, sample, options)
        progress = Progress(verbose, total)

        def train(label: str) -> list[Trial]:
            members = [
                Member(rate, number % len(pairs), number // len(pairs), number)
                for rate in grids[label]
                for number in range(len(starts))
            ]
            progress.begin(label)
            run = Run(
                model, chosen[label], testing, starts, pairs, data, offsets, batch_size, epochs,
                options,
            )  # fmt: skip
            run.train(members, memory // workers, label, progress)
            progress.end(label)
            return [_trial(label, m, monitor, starts[m.number].seed) for m in members]

        # While one optimizer's program is compiled, another's runs: XLA holds no lock.
        workers = min(len(chosen), os.cpu_count() or 1)
        with progress, ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(train, label) for label in chosen]
            try:
                trials = [trial for future in futures for trial in future.result()]
            except BaseException:
                progress.cancel()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return Comparison(
        trials=tuple(trials),
        monitor=monitor,
        higher_is_better=higher,
        test_fraction=float(np.mean([len(b) / (len(a) + len(b)) for a, b in pairs])),
        setup={
            "rows": len(host_y),
            "folds": len(pairs),
            "seeds": seeds,
            "epochs": epochs,
            "batch_size": batch_size,
            "seed": seed,
        },
        recipe=Recipe(
            build,
            chosen,
            model.loss,
            model.compile_arguments["metrics"],
            transform,
            target_transform,
        ),
    )


def _numbers(model: Model, sample: Sample) -> int:
    """How many numbers one step reads: the weights and a batch."""
    weights = [variable.value for variable in model.trainable_variables]
    return sum(leaf.size for leaf in jax.tree.leaves([weights, sample]))


def _targets(y: Any) -> np.ndarray:
    host = to_host(y, "y")
    if not hasattr(host, "shape") or host.ndim == 0:
        raise errors.wrong_type("compare", "y", "one array, a row for each of x", y)
    return np.asarray(host)


def _data(
    x: Any, y: np.ndarray, pairs: Any, transform: Any, target_transform: Any
) -> tuple[Sample, list[int]]:
    """All rows on the device; for each fold, where its rows begin.

    With transformers every fold has a copy of the rows, transformed as its own training
    part demands.
    """
    if transform is None and target_transform is None:
        x = to_host(x, "x")
        check_rows(x, y, None)
        return jax.device_put(Sample(x, y)), [0] * len(pairs)
    if len(x) != len(y):
        raise ValueError(f"The data must have one number of rows: x has {len(x)}, y {len(y)}.")
    parts = [
        Sample(
            _transformed(transform, x, rows, "x"),
            _transformed(target_transform, y.reshape(len(y), -1), rows, "y")
            if target_transform
            else y,
        )
        for rows, _ in pairs
    ]
    joined = jax.tree.map(lambda *leaves: jax.device_put(np.concatenate(leaves)), *parts)
    return joined, [i * len(y) for i in range(len(pairs))]


def _transformed(transform: Any, values: Any, rows: np.ndarray, what: str) -> Any:
    if transform is None:
        return to_host(values, what)
    fitted = transform().fit(values.iloc[rows] if hasattr(values, "iloc") else values[rows])
    return to_host(fitted.transform(values), what)


def _starts(
    build: Callable[[], Model], base: int, seeds: int, folds: int, sample: Sample
) -> list[Start]:
    """A model for each pair of seed and fold, built as `set_random_seed` and `fit` would."""
    starts = []
    for seed in range(seeds):
        for fold in range(folds):
            derived = int(random.host_generator(base, seed, fold).integers(2**31))
            random.set_random_seed(derived)
            model = build()
            if not isinstance(model, Model):
                raise errors.wrong_type("compare", "build()", "a model", model)
            if any(start.model is model for start in starts):
                raise errors.invalid(
                    "compare", "build()", "a new model at every call", "the same one twice",
                    "Make the model inside the function: its folds and seeds would begin alike.",
                )  # fmt: skip
            shuffle = random.draw_seed()  # what fit draws before it builds
            model.build_on(sample.x)
            starts.append(Start(derived, model, shuffle))
    return starts


def _compile(model: Model, y: np.ndarray, loss: Any, metrics: Any) -> None:
    """Compile a model that came without: its loss by targets and head."""
    classes = class_codes(y)
    if loss is None and classes is None:
        loss = "mse"
    elif loss is None:
        logits = data_checks.linear_head(model)
        if model.output_shape[-1] == 1:
            loss = losses.BinaryCrossentropy(from_logits=logits)
        elif y.ndim > 1 and y.shape[-1] > 1:
            loss = losses.CategoricalCrossentropy(from_logits=logits)
        else:
            loss = losses.SparseCategoricalCrossentropy(from_logits=logits)
    if metrics is None:
        metrics = ["mae"] if classes is None else ["accuracy"]
    model.compile(loss=loss, metrics=metrics)


def _higher_is_better(model: Model, monitor: str) -> bool:
    """The direction of the monitor; refuses one that the logs will not have."""
    assert model.objectives is not None
    entries = {entry.key: entry.metric for entry in model.objectives.entries}
    known = [f"val_{name}" for name in ["loss", *entries]]
    if monitor not in known:
        raise errors.unknown("monitor", monitor, known)
    metric = entries.get(monitor.removeprefix("val_"))
    return getattr(metric, "_direction", "down") == "up"


def _trial(label: str, member: Member, monitor: str, seed: int) -> Trial:
    curves = {name: np.array(values) for name, values in member.curves.items()}
    score = float("nan") if member.diverged else float(curves[monitor][-1])
    return Trial(
        label, member.rate, member.fold, member.seed, seed, score, member.diverged, curves,
        member.seconds,
    )  # fmt: skip


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise errors.invalid("compare", name, "a positive integer", value)
