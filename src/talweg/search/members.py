"""The members of a comparison: what each has told, and how one optimizer's are trained."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from talweg.core import random
from talweg.core.compilation import QUICKLY
from talweg.data.batches import Sample
from talweg.models import Model
from talweg.models.trainee import ModelTrainee
from talweg.optimizers import Optimizer, OptimizerState
from talweg.search.progress import Progress
from talweg.training import NEVER, TrainState
from talweg.training.block import slow_in_loops
from talweg.training.pace import Pace
from talweg.training.population import Population, take

_VALIDATION_ROWS = 1024  # rows per step of validation


@dataclass
class Member:
    """One training: its place in the comparison and what it has told so far."""

    rate: float
    fold: int
    seed: int
    number: int  # of its initial weights and shuffles: a pair of seed and fold
    curves: dict[str, list[float]] = field(default_factory=dict)
    diverged: bool = False
    seconds: float = 0.0


@dataclass
class Start:
    """What a pair of seed and fold determines."""

    seed: int
    model: Model
    shuffle: int


def validation(model: Model, sample: Sample, options: dict[str, Any]) -> Population:
    """The validation of many members; it also knows whether their steps can be looped."""
    trainee = ModelTrainee(model, None)
    program = trainee.test_program
    traced = jax.jit(program.step).trace(trainee.read_state(), sample)
    return Population(program.step, program.report, slow_in_loops(traced), options)


class Run:
    """One optimizer over all its members."""

    def __init__(
        self, model: Model, optimizer: Optimizer, testing: Population, starts: list[Start],
        pairs: Any, data: Any, offsets: list[int], batch_size: int, epochs: int,
        options: dict[str, Any],
    ):  # fmt: skip
        self.starts, self.pairs, self.data, self.offsets = starts, pairs, data, offsets
        self.batch_size, self.epochs = batch_size, epochs
        self.optimizer = optimizer
        trainee = ModelTrainee(model, optimizer)
        program = trainee.train_program
        self.template = trainee.read_state()
        self.training = Population(program.step, program.report, testing.stepwise, options)
        self.testing = testing

    def train(self, members: list[Member], memory: int, label: str, progress: Progress) -> None:
        """Train all members, as many at a time as the memory allows."""
        # Members of a step that is slow in a loop gain nothing from company.
        each = bytes_per_member(self.template, self.data, max(self.batch_size, _VALIDATION_ROWS))
        width = 1 if self.testing.stepwise else max(1, memory // each)
        width = min(len(members), width)
        groups = -(-len(members) // width)
        for part in np.array_split(np.arange(len(members)), groups):
            self._train_group([members[i] for i in part], label, progress)

    def _train_group(self, members: list[Member], label: str, progress: Progress) -> None:
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
            # The same program tests the members of every optimizer. It gives nothing back
            # but the metrics: its buffers are its own.
            optimizer, trained = state.optimizer, state.params
            state = self._reset(state)._replace(optimizer=(), params=self._used(trained, optimizer))
            state, tested = self.testing.run(
                state, self.data, held, rows, test_pace.next, test_pace.done
            )
            if not self.optimizer.trains_elsewhere:
                trained = state.params
            state = self._reset(state)._replace(optimizer=optimizer, params=trained)
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

    def _order(self, member: Member, epoch: int) -> np.ndarray:
        train = self.pairs[member.fold][0]
        shuffle = random.host_generator(self.starts[member.number].shuffle, epoch)
        return train[shuffle.permutation(len(train))] + self.offsets[member.fold]

    def _initial(self, members: list[Member]) -> TrainState:
        """The members' states before the first step, stacked on the host."""
        models = [self.starts[member.number].model for member in members]
        params = _stacked([model.trainable_variables for model in models])
        rates = jax.device_put(np.array([member.rate for member in members], np.float32))
        present = self.optimizer.hyper_state()
        hyper = jax.tree.map(lambda value: repeated(value, len(members)), present)
        hyper[self.optimizer.free_rate] = rates
        tensors = self.optimizer.tensors

        def start(params: Any, hyper: Any) -> OptimizerState:
            return self.optimizer.init_leaves(params, tensors, hyper)

        return self.template._replace(
            params=params,
            fixed=_stacked([model.non_trainable_variables for model in models]),
            optimizer=jax.jit(jax.vmap(start), compiler_options=QUICKLY)(params, hyper),
            metrics=[repeated(m, len(members)) for m in self.template.metrics],
            first_bad=repeated(np.int32(NEVER), len(members)),
        )

    def _used(self, params: Any, optimizer: OptimizerState) -> Any:
        """The weights to evaluate with, where they differ from those that are trained."""
        if not self.optimizer.trains_elsewhere:
            return params
        tensors = self.optimizer.tensors

        def used(params: Any, state: OptimizerState) -> Any:
            return self.optimizer.evaluation_leaves(params, state, tensors)

        return jax.jit(jax.vmap(used))(params, optimizer)

    def _reset(self, state: TrainState) -> TrainState:
        members = len(state.first_bad)
        return state._replace(metrics=[repeated(m, members) for m in self.template.metrics])

    def _record(self, alive: Sequence[Member], logs: Any, tested: Any, seconds: float) -> None:
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


def bytes_per_member(template: TrainState, data: Any, rows: int) -> int:
    """About how many bytes of memory one more member takes, with batches of `rows`."""
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(template))
    row = sum(leaf.nbytes // max(len(leaf), 1) for leaf in jax.tree.leaves(data))
    # Gradients and the new state beside the old; activations of the order of the inputs.
    return 4 * state + 8 * rows * row


def _stacked(models: list[list[Any]]) -> list[Any]:
    """The values of several models' variables, each with a first axis of models."""
    return [
        jax.device_put(np.stack([np.asarray(v.value) for v in variables]))
        for variables in zip(*models, strict=True)
    ]


def repeated(value: Any, members: int) -> Any:
    """An array as many times as there are members, along a new first axis."""
    value = np.asarray(value)
    return jax.device_put(np.broadcast_to(value, (members, *value.shape)).copy())
