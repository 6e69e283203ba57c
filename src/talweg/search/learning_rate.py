"""`find_learning_rate`: which rate suits this model, at these weights, on these data?

All rates and batch orders train side by side for a few steps in one compiled program
(`training.population`), each at a constant rate from the same weights. One more member per
order stands still: the loss of the unmoved weights on the same batches, which the others
are measured by. The model takes no part: a shallow copy with an optimizer, losses and
programs of its own lends its variables to the traces.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg import optimizers
from talweg.core import errors, random
from talweg.core.errors import NonFiniteError
from talweg.core.variables import lend
from talweg.data import ArrayBatches, open_batches
from talweg.data.class_weights import ClassWeights
from talweg.data.open import is_stream
from talweg.models import Model, data_checks
from talweg.models.objectives import Objectives
from talweg.models.trainee import ModelTrainee
from talweg.optimizers import Optimizer
from talweg.search.candidates import rates_for
from talweg.search.comparison import fresh
from talweg.search.gradient_noise import GradientNoise, measure
from talweg.search.members import bytes_per_member, repeated
from talweg.search.progress import Progress
from talweg.search.rate_result import RateResult
from talweg.training import NEVER, TrainState
from talweg.training.block import slow_in_loops
from talweg.training.pace import Pace
from talweg.training.population import Population, take
from talweg.training.step import Step

GRID = 24
PATIENCE = 1.0  # seconds before a bar is shown
OWNER = "find_learning_rate"


def find_learning_rate(
    model: Model,
    x: Any,
    y: Any = None,
    *,
    optimizer: Any = None,
    rates: Iterable[float] | None = None,
    steps: int = 100,
    seeds: int = 3,
    batch_size: int = 32,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    gradient_noise: bool = False,
    seed: int = 0,
    memory: int = 2**30,
    verbose: int | str = "auto",
) -> RateResult:
    """Try many rates for a few steps each, and say which to train with.

    Model, optimizer, metrics and the global random generators stay bit for bit as they are.
    The probes begin at the model's present weights; those of its own optimizer also at its
    present state, if it was trained. A schedule is left out: each probe has a constant rate.
    Where parts of the model have rates of their own, multiples of them are probed, as
    `rate_multiplier` sets them.

    The suggestion is for a training that starts as the probes did; a much longer one at a
    constant rate may want less in the end, which a schedule gives.

    Args:
        model: compiled; built or not.
        x: arrays, a table, or a dict or tuple of them, rows first.
        y: targets.
        optimizer: a name, class or instance; the one that the model is compiled with by
            default.
        rates: those to try; by default 24 on a log grid over the range that the class
            declares.
        steps: how long each probe trains.
        seeds: how many batch orders; the rates share them.
        batch_size: rows per step. A rate suits one batch size only.
        sample_weight: a weight per row.
        class_weight: `{class: weight}`.
        gradient_noise: whether to measure the noise scale of the gradients as well, after
            the probe at the suggested rate: the batch size up to which larger ones pay.
        seed: of the orders.
        memory: bytes that the probes run at once may take; more run one after another.
        verbose: 0 silent; 1 or "auto" shows a bar if it takes over a second.

    Returns:
        A `RateResult`: `suggestion`, its spread `low` to `high`, the `edge` from which on
        the loss diverges or rises, `to_frame()`, `plot()`.

    Raises:
        TypeError: x is a stream.
        ValueError: rates, counts or data that cannot be meant; a model without compile.
        NonFiniteError: the loss is not finite even where no weight moves.

    Example:
        >>> import talweg
        >>> from talweg.layers import Dense
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(256, 4)).astype("float32")
        >>> y = x @ np.array([[1.0], [2.0], [0.0], [-1.0]], "float32")
        >>> model = talweg.Sequential([Dense(1, input_dim=4)])
        >>> model.compile("sgd", "mse")
        >>> result = talweg.find_learning_rate(model, x, y, steps=40, verbose=0)
        >>> 0.03 < result.suggestion < result.edge
        True
        >>> model.optimizer.learning_rate = result.suggestion
    """
    model._require_compiled(OWNER)
    _check_counts(steps=steps, seeds=seeds, batch_size=batch_size)
    given = model.optimizer if optimizer is None else optimizers.get(optimizer)
    copied = _with_constant_rate(given)
    grid = np.sort(rates_for(copied, rates, GRID, OWNER))
    batches = _open(model, x, y, sample_weight, batch_size)
    with random.preserved():
        probes = Probes(model, given, copied, batches, class_weight, steps, seeds, seed, memory)
        shown = type(given).__name__
        total = (len(grid) + 1) * seeds * steps
        with Progress(verbose, total, PATIENCE) as progress:
            progress.begin(shown)
            curves = probes.losses([*grid, 0.0], lambda m, n: progress.advance(shown, m * n, 0))
            progress.end(shown)
        if not np.isfinite(curves[-1]).all():
            raise NonFiniteError(
                f"{OWNER}: the loss is not finite even with the weights as they are. Look for "
                "NaN in the data (numpy.nan_to_num) and for large inputs (scale them)."
            )
        setup = {
            "steps": steps,
            "seeds": seeds,
            "batch_size": probes.batch_size,
            "rows": batches.rows,
            "seed": seed,
        }
        result = RateResult(
            optimizer=shown,
            rates=grid,
            losses=curves[:-1],
            control=curves[-1],
            current=_free_rate(given, copied.free_rate),
            setup=setup,
            what=copied.free_rate.replace("_", " "),
        )
        if gradient_noise and not math.isnan(result.suggestion):
            return replace(result, noise=probes.noise(result.suggestion))
        return result


class Probes:
    """Many short trainings of copies of a model.

    Args:
        model: compiled; it is left alone.
        optimizer: it is left alone too.
        copied: the copy of it that trains.
        batches: the data.
        class_weight: as `fit` takes it.
        steps, seeds, seed, memory: as `find_learning_rate` takes them.
    """

    def __init__(
        self, model: Model, optimizer: Optimizer, copied: Optimizer, batches: ArrayBatches,
        class_weight: Any, steps: int, seeds: int, seed: int, memory: int,
    ):  # fmt: skip
        self.steps, self.seeds = steps, seeds
        self._memory, self._width = memory, 0
        self.batch_size = min(batches.batch_size, batches.rows)
        self._model = _copied(model)
        self._optimizer = copied
        self._prepare(batches, class_weight)
        self._data = jax.device_put(batches.host)
        self._orders = [self._order(batches.rows, seed, i) for i in range(seeds)]
        self._trainee = ModelTrainee(self._model, self._optimizer)
        vars(self._model).update(_trainee=self._trainee, optimizer=copied)
        self._rate_name = copied.free_rate
        self._start = self._initial(optimizer if optimizer is model.optimizer else None)
        step = self._recorded()
        self._population = Population(step, lambda state: state.logs, self._stepwise(step))

    def _prepare(self, batches: ArrayBatches, class_weight: Any) -> None:
        """Build the copy, resolve its losses, weigh and check the data."""
        model = self._model
        if not all(layer.built for layer in model._flatten_layers()):
            random.draw_seed()  # what fit draws before it builds: the weights are those of fit
        outputs = model.prepare(batches.example())
        if class_weight is not None:
            classes = data_checks.classes_of(outputs, batches.host.y)
            batches.weigh(ClassWeights(class_weight, classes))
        if outputs is not None:
            batches.check(lambda sample: data_checks.check_values(model, sample, outputs))

    def _order(self, rows: int, seed: int, number: int) -> np.ndarray:
        """The rows of all steps: pass after pass, each shuffled anew, full batches only."""
        full = rows - rows % self.batch_size
        passes = -(-self.steps * self.batch_size // full)
        parts = [
            random.host_generator(seed, number, i).permutation(rows)[:full] for i in range(passes)
        ]
        return np.concatenate(parts)[: self.steps * self.batch_size].astype(np.int32)

    def _initial(self, own: Optimizer | None) -> TrainState:
        """The state that every probe begins at; that of the model's own optimizer if given."""
        trainee, optimizer = self._trainee, self._optimizer
        params, state = [v.value for v in trainee.params], optimizer.cells_now()
        known = own is not None and own.built and int(own._iterations.value) > 0
        if known and list(map(id, own.trainable_variables)) == list(map(id, trainee.params)):
            trained = own.cells_now()
            hyper = {**state.hyper, **{k: v for k, v in trained.hyper.items() if k in state.hyper}}
            state = trained._replace(schedules=state.schedules, hyper=hyper)
            params = optimizer.training_leaves(params, state, optimizer.tensors)
        if self._rate_name == "learning_rate":
            one = jnp.ones_like(state.hyper["rate_multiplier"])
            state = state._replace(hyper={**state.hyper, "rate_multiplier": one})
        return TrainState(
            params=params,
            fixed=[v.value for v in trainee.fixed],
            optimizer=state,
            metrics=(),
            logs={"loss": np.zeros(self.steps, np.float32), "step": np.int32(0)},
            first_bad=np.int32(NEVER),
        )

    def _recorded(self) -> Step:
        """A step that notes its batch's loss, and moves no weight at a rate of 0."""
        program, trainee = self._trainee.train_program, self._trainee
        with lend(trainee.metrics, [v.value for v in trainee.metrics]) as loan:
            trainee.reset_metrics()
            zeros = loan.values(trainee.metrics)

        def step(state: TrainState, batch: Any) -> TrainState:
            moved = program.step(state._replace(metrics=zeros, logs=()), batch)
            logs = program.report(moved)
            if "loss" not in logs:
                raise errors.invalid(
                    OWNER, "train_step", "one whose logs hold 'loss'", sorted(logs)
                )
            loss = jnp.where(moved.first_bad == NEVER, logs["loss"], jnp.nan)
            moves = state.optimizer.hyper[self._rate_name] > 0
            place = state.logs["step"]
            return moved._replace(
                params=jax.tree.map(
                    lambda new, old: jnp.where(moves, new, old), moved.params, state.params
                ),
                metrics=(),
                logs={"loss": state.logs["loss"].at[place].set(loss), "step": place + 1},
            )

        return step

    def _stepwise(self, step: Step) -> bool:
        sample = jax.tree.map(lambda a: a[: self.batch_size], self._data)
        return slow_in_loops(jax.jit(step).trace(self._start, sample))

    # -- running them ------------------------------------------------------------------

    def run(
        self, rates: Iterable[float], advance: Callable[[int, int], None]
    ) -> Iterator[tuple[TrainState, np.ndarray]]:
        """Train at every rate in every order, as many at a time as the memory allows.

        Yields:
            The final states of some of them, and their losses, shape (members, steps).
        """
        members = [(rate, i) for rate in rates for i in range(self.seeds)]
        if not self._width:
            each = bytes_per_member(self._start, self._data, self.batch_size)
            width = 1 if self._population.stepwise else max(1, self._memory // each)
            self._width = min(width, len(members))
        # Parts of one size, so that one program serves all: the last is filled up.
        for first in range(0, len(members), self._width):
            part = members[first : first + self._width]
            filled = list(islice(cycle(part), self._width))
            state, logs = self._train(filled, partial(advance, len(part)))
            yield take(state, range(len(part))), logs["loss"][: len(part)]

    def losses(self, rates: list[float], advance: Callable[[int, int], None]) -> np.ndarray:
        """The losses of all probes, shape (rates, seeds, steps)."""
        curves = np.concatenate([losses for _, losses in self.run(rates, advance)])
        return curves.reshape(len(rates), self.seeds, self.steps)

    def _train(self, members: list[tuple[float, int]], done: Any) -> tuple[TrainState, Any]:
        state = jax.tree.map(lambda leaf: repeated(leaf, len(members)), self._start)
        rates = jax.device_put(np.array([rate for rate, _ in members], np.float32))
        hyper = {**state.optimizer.hyper, self._rate_name: rates}
        state = state._replace(optimizer=state.optimizer._replace(hyper=hyper))
        pace = Pace()

        def count(steps: int) -> None:
            pace.done(steps)
            done(steps)

        orders = [self._orders[i] for _, i in members]
        return self._population.run(state, self._data, orders, self.batch_size, pace.next, count)

    def noise(self, rate: float) -> GradientNoise:
        """The noise of the gradients after a probe at one rate."""
        ends = [
            (state.params, state.fixed) for state, _ in self.run([rate], lambda members, n: None)
        ]
        params, fixed = jax.tree.map(lambda *parts: jnp.concatenate(parts), *ends)
        trainee = self._trainee
        start = [v.value for v in trainee.metrics]

        def gradient(params: Any, fixed: Any, batch: Any) -> tuple[Any, Any]:
            def loss(params: Any) -> tuple[Any, Any]:
                value, _, fixed_after, _ = trainee.forward(params, fixed, start, batch, True)
                return value, fixed_after

            return jax.grad(loss, has_aux=True)(params)

        rows = len(jax.tree.leaves(self._data)[0])
        orders = [random.host_generator(i, rows).permutation(rows) for i in range(self.seeds)]
        return measure(
            gradient, params, fixed, self._data, np.array(orders, np.int32),
            self.batch_size, self.steps,
        )  # fmt: skip


def _open(model: Model, x: Any, y: Any, weight: Any, batch_size: int) -> ArrayBatches:
    if is_stream(x):
        raise errors.wrong_type(
            OWNER, "x", "arrays in memory, which every probe can begin anew", x,
            "Collect some batches of the stream: a few thousand rows are enough.",
        )  # fmt: skip
    x = copy.copy(model)._named_columns(x)
    batches = open_batches(x, y, weight, batch_size=batch_size, owner=OWNER)
    assert isinstance(batches, ArrayBatches)
    return batches


def _copied(model: Model) -> Model:
    """A model that shares the layers, or, where these are not built yet, has copies."""
    arguments = model.compile_arguments
    custom = any(
        getattr(type(model), name) is not getattr(Model, name)
        for name in ("train_step", "compute_metrics")
    )
    # A step of the user's own may look at the metrics; any other is probed without them.
    metrics = {
        key: fresh(arguments[key]) if custom else None for key in ("metrics", "weighted_metrics")
    }
    copied = copy.copy(model)
    vars(copied).update(
        optimizer=None,
        objectives=None,
        history=None,
        compile_arguments={**arguments, **metrics, "optimizer": None},
        _trainee=None,
        _predictor=None,
        _prepared={},
    )
    if not all(layer.built for layer in model._flatten_layers()):
        copied = copy.deepcopy(copied)
    vars(copied)["objectives"] = Objectives(arguments["loss"], arguments["loss_weights"], **metrics)
    return copied


def _with_constant_rate(optimizer: Optimizer) -> Optimizer:
    """A copy that follows no schedule of its own rate."""
    config = optimizer.get_config()
    if optimizer.schedule is not None and "learning_rate" in config:
        config["learning_rate"] = 1.0  # every probe has its own
    return type(optimizer).from_config(config)


def _free_rate(optimizer: Optimizer, name: str) -> float | None:
    """What the optimizer has for what was probed; None where its rate follows a schedule."""
    if name == "rate_multiplier":
        return float(np.asarray(optimizer.rate_multiplier))
    return None if optimizer.schedule is not None else optimizer.rate


def _check_counts(**counts: Any) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise errors.invalid(OWNER, name, "a positive integer", value)
