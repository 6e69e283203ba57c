"""The main job: which optimizer, at which rate, for this model and this data?

All rates, folds and seeds of one optimizer train side by side in one compiled program
(`training.population`). A member's initial weights and shuffles depend on its seed and
its fold only, so members that differ in the rate alone are compared in pairs.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from talweg import losses
from talweg.core import errors, random
from talweg.data.batches import Sample
from talweg.data.host import check_rows, to_host
from talweg.models import Model, data_checks
from talweg.models.trainee import ModelTrainee
from talweg.optimizers import Optimizer
from talweg.search.candidates import class_codes, labelled, rates_for, splits
from talweg.search.comparison import Comparison, Recipe, Trial
from talweg.search.progress import Progress
from talweg.training import NEVER, TrainState
from talweg.training.block import slow_in_loops
from talweg.training.pace import Pace
from talweg.training.population import Population, take

_VALIDATION_ROWS = 1024  # rows per step of validation


@dataclass
class _Member:
    """One training: its place in the comparison and what it has told so far."""

    rate: float
    fold: int
    seed: int
    number: int  # of its initial weights and shuffles: a pair of seed and fold
    curves: dict[str, list[float]] = field(default_factory=dict)
    diverged: bool = False
    seconds: float = 0.0


@dataclass
class _Start:
    """What a pair of seed and fold determines."""

    seed: int
    model: Model
    shuffle: int


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
        testing = _testing(model, sample)
        progress = Progress(verbose, chosen, grids, len(starts), epochs)

        def train(label: str) -> list[Trial]:
            members = [
                _Member(rate, number % len(pairs), number // len(pairs), number)
                for rate in grids[label]
                for number in range(len(starts))
            ]
            progress.begin(label)
            run = _Run(
                model, chosen[label], testing, starts, pairs, data, offsets, batch_size, epochs
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
) -> list[_Start]:
    """A model for each pair of seed and fold, built as `set_random_seed` and `fit` would."""
    starts = []
    for seed in range(seeds):
        for fold in range(folds):
            derived = int(random.host_generator(base, seed, fold).integers(2**31))
            random.set_random_seed(derived)
            model = build()
            if not isinstance(model, Model):
                raise errors.wrong_type("compare", "build()", "a model", model)
            shuffle = random.draw_seed()  # what fit draws before it builds
            model.build_on(sample.x)
            starts.append(_Start(derived, model, shuffle))
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


def _trial(label: str, member: _Member, monitor: str, seed: int) -> Trial:
    curves = {name: np.array(values) for name, values in member.curves.items()}
    score = float("nan") if member.diverged else float(curves[monitor][-1])
    return Trial(
        label, member.rate, member.fold, member.seed, seed, score, member.diverged, curves,
        member.seconds,
    )  # fmt: skip


def _testing(model: Model, sample: Sample) -> Population:
    """The validation of many members; it also knows whether their steps can be looped."""
    trainee = ModelTrainee(model, None)
    program = trainee.test_program
    traced = jax.jit(program.step).trace(trainee.read_state(), sample)
    return Population(program.step, program.report, slow_in_loops(traced))


class _Run:
    """One optimizer over all its members."""

    def __init__(
        self, model: Model, optimizer: Optimizer, testing: Population, starts: list[_Start],
        pairs: Any, data: Any, offsets: list[int], batch_size: int, epochs: int,
    ):  # fmt: skip
        self.starts, self.pairs, self.data, self.offsets = starts, pairs, data, offsets
        self.batch_size, self.epochs = batch_size, epochs
        self.optimizer = optimizer
        trainee = ModelTrainee(model, optimizer)
        program = trainee.train_program
        self.template = trainee.read_state()
        self.training = Population(program.step, program.report, testing.stepwise)
        self.testing = testing

    def train(self, members: list[_Member], memory: int, label: str, progress: Progress) -> None:
        """Train all members, as many at a time as the memory allows."""
        # Members of a step that is slow in a loop gain nothing from company.
        width = 1 if self.testing.stepwise else max(1, memory // self._bytes_per_member())
        width = min(len(members), width)
        groups = -(-len(members) // width)
        for part in np.array_split(np.arange(len(members)), groups):
            self._train_group([members[i] for i in part], label, progress)

    def _bytes_per_member(self) -> int:
        state = sum(leaf.nbytes for leaf in jax.tree.leaves(self.template))
        rows = max(self.batch_size, _VALIDATION_ROWS)
        row = sum(leaf.nbytes // max(len(leaf), 1) for leaf in jax.tree.leaves(self.data))
        # Gradients and the new state beside the old; activations of the order of the inputs.
        return 4 * state + 8 * rows * row

    def _train_group(self, members: list[_Member], label: str, progress: Progress) -> None:
        state = self._initial(members)
        alive = list(members)
        pace, test_pace = Pace(), Pace()
        for epoch in range(self.epochs):
            began = time.perf_counter()
            orders = [self._order(member, epoch) for member in alive]
            state, logs = self.training.run(
                state, self.data, orders, self.batch_size, pace.next, pace.done
            )
            held = [self.pairs[m.fold][1] + self.offsets[m.fold] for m in alive]
            rows = min(_VALIDATION_ROWS, min(map(len, held)))
            # The same program tests the members of every optimizer.
            optimizer, state = state.optimizer, self._reset(state)._replace(optimizer=())
            state, tested = self.testing.run(
                state, self.data, held, rows, test_pace.next, test_pace.done
            )
            state = self._reset(state)._replace(optimizer=optimizer)
            self._record(alive, logs, tested, time.perf_counter() - began)
            progress.advance(label, len(alive), sum(m.diverged for m in members))
            keep = [i for i, member in enumerate(alive) if not member.diverged]
            if not keep:
                progress.advance(label, len(alive) * (self.epochs - epoch - 1), len(members))
                return
            # A smaller program must be compiled anew: worth it where half of them are gone.
            if len(keep) <= len(alive) // 2 and self.epochs - epoch > 2:
                gone = len(alive) - len(keep)
                progress.advance(label, gone * (self.epochs - epoch - 1), len(members) - len(keep))
                state, alive = take(state, keep), [alive[i] for i in keep]

    def _order(self, member: _Member, epoch: int) -> np.ndarray:
        train = self.pairs[member.fold][0]
        shuffle = random.host_generator(self.starts[member.number].shuffle, epoch)
        return train[shuffle.permutation(len(train))] + self.offsets[member.fold]

    def _initial(self, members: list[_Member]) -> TrainState:
        """The members' states before the first step, stacked on the host."""
        models = [self.starts[member.number].model for member in members]
        params = _stacked([model.trainable_variables for model in models])
        rates = jax.device_put(np.array([member.rate for member in members], np.float32))
        name = "learning_rate" if self.optimizer.schedule is None else "rate_multiplier"
        hyper = {
            key: rates if key == name else _repeated(value, len(members))
            for key, value in self.optimizer.hyper_state().items()
        }
        return self.template._replace(
            params=params,
            fixed=_stacked([model.non_trainable_variables for model in models]),
            optimizer=jax.jit(jax.vmap(self.optimizer.init))(params, hyper),
            metrics=[_repeated(m, len(members)) for m in self.template.metrics],
            first_bad=_repeated(np.int32(NEVER), len(members)),
        )

    def _reset(self, state: TrainState) -> TrainState:
        members = len(state.first_bad)
        return state._replace(metrics=[_repeated(m, members) for m in self.template.metrics])

    def _record(self, alive: Sequence[_Member], logs: Any, tested: Any, seconds: float) -> None:
        for i, member in enumerate(alive):
            member.seconds += seconds / len(alive)
            member.diverged = bool(logs["first_bad"][i] != NEVER)
            values = {k: v[i] for k, v in logs.items() if k not in ("first_bad", "learning_rate")}
            values |= {f"val_{k}": v[i] for k, v in tested.items()}
            for name, value in values.items():
                if np.ndim(value) == 0:
                    number = float("nan") if member.diverged else float(value)
                    member.curves.setdefault(name, []).append(number)
            if not np.isfinite(member.curves["val_loss"][-1]):
                member.diverged = True


def _stacked(models: list[list[Any]]) -> list[Any]:
    """The values of several models' variables, each with a first axis of models."""
    return [
        jax.device_put(np.stack([np.asarray(v.value) for v in variables]))
        for variables in zip(*models, strict=True)
    ]


def _repeated(value: Any, members: int) -> Any:
    value = np.asarray(value)
    return jax.device_put(np.broadcast_to(value, (members, *value.shape)).copy())


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise errors.invalid("compare", name, "a positive integer", value)
