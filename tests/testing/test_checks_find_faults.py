"""Each check of a battery fails where what it checks does not hold."""

import time
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import pytest

from talweg import layers
from talweg.callbacks import Callback
from talweg.core.hyperparameters import hyper
from talweg.losses import MeanSquaredError
from talweg.metrics import Metric
from talweg.optimizers import SGD, Optimizer
from talweg.schedules.base import RATE, LearningRateSchedule, number
from talweg.testing import checks
from talweg.testing import optimizer_faces as faces
from talweg.testing import optimizer_laws as laws


def plain(g, p, s, h, t):
    return -h.learning_rate * g, s


class Ascends(Optimizer):
    rule = staticmethod(lambda g, p, s, h, t: (h.learning_rate * g, s))


class DecaysAlways(Optimizer):
    rule = staticmethod(lambda g, p, s, h, t: (-h.learning_rate * g - 0.01 * p, s))


class BakesIn(Optimizer):
    """Its rate is part of the structure of the program."""

    rule = staticmethod(plain)

    def cells_now(self):
        state = super().cells_now()
        name = f"rate_{float(self.learning_rate)}"
        return state._replace(hyper={**state.hyper, name: jnp.float32(0)})


class Forgets(Optimizer):
    strength: float = hyper(default=1.0, interval="[0, 10]")
    rule = staticmethod(plain)

    def get_config(self):
        return {k: v for k, v in super().get_config().items() if k != "weight_decay"}


class AcceptsAll(Optimizer):
    rule = staticmethod(plain)

    def write_hyper(self, declaration, value):
        try:
            super().write_hyper(declaration, value)
        except (ValueError, TypeError):
            super().write_hyper(declaration, declaration.default)


class Rounds(Optimizer):
    rule = staticmethod(lambda g, p, s, h, t: (-h.learning_rate * jnp.round(g * t, 0) / t, s))

    def as_optax(self):
        return SGD(self.learning_rate).as_optax()


FAULTS = [
    (laws.descends_at_its_default_rate, Ascends),
    (laws.solves_small_problems_within_its_search_range, Ascends),
    (laws.zero_rate_moves_nothing, DecaysAlways),
    (laws.changed_hyperparameters_never_recompile, BakesIn),
    (faces.config_makes_an_equal_optimizer, Forgets),
    (faces.every_invalid_value_is_refused, AcceptsAll),
    (faces.faces_agree, Rounds),
]


@pytest.mark.sampled(count=3)
@pytest.mark.parametrize(("check", "make"), FAULTS, ids=lambda v: v.__name__)
def test_optimizer_check_finds_the_fault(check, make):
    with pytest.raises((AssertionError, ValueError)):
        check(make)


def test_report_names_optimizer_and_check():
    with pytest.raises(AssertionError, match="Ascends fails descends_at_its_default_rate"):
        checks.optimizer(Ascends)


@dataclass(frozen=True)
class Negative(LearningRateSchedule):
    rate: float = number(RATE, 0.1)

    def __call__(self, step):
        return self.rate - 0.01 * jnp.asarray(step, "float32")


@dataclass(frozen=True)
class Unchecked(LearningRateSchedule):
    rate: float = 0.1

    def __call__(self, step):
        return jnp.full(jnp.shape(step), time.perf_counter())


@pytest.mark.parametrize("make", [Negative, Unchecked])
def test_schedule_battery_finds_the_fault(make):
    with pytest.raises(AssertionError, match="fails"):
        checks.schedule(make)


class Meddles(Callback):
    reads = "logs"

    def on_train_batch_end(self, batch, logs=None):
        weights = self.model.get_weights()
        self.model.set_weights([w * 0.9 for w in weights])


class Unpickled(Callback):
    def on_train_begin(self, logs=None):
        self.seen = 0

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1

    def state(self):
        return {"seen": self.seen}


@pytest.mark.usefixtures("fully_compiled")
@pytest.mark.parametrize(
    ("make", "check"),
    [(Meddles, "blocks_equal_steps"), (Unpickled, "state_survives_json")],
)
def test_callback_battery_finds_the_fault(make, check):
    with pytest.raises(AssertionError, match=check):
        checks.callback(make)


class Doubles(layers.Dense):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units + 1)


class Deaf(layers.Dense):
    def call(self, inputs):
        return inputs @ self.kernel.value


@pytest.mark.parametrize(
    ("make", "check"),
    [(Doubles, "output_shape_is_known"), (Deaf, "gradients_reach_every_weight")],
)
def test_layer_battery_finds_the_fault(make, check):
    with pytest.raises(AssertionError, match=check):
        checks.layer(partial(make, 2), (4, 3))


class Sums(MeanSquaredError):
    def __call__(self, y_true, y_pred, sample_weight=None, *, mask=None):
        return 2 * super().__call__(y_true, y_pred, sample_weight)


class LastBatch(Metric):
    def __init__(self, name="last", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.last = self.add_variable(name="last")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.last.assign(jnp.mean(y_pred))

    def result(self):
        return self.last.value


def test_loss_and_metric_batteries_find_the_fault():
    with pytest.raises(AssertionError, match="loss_is_the_mean_over_samples"):
        checks.loss(Sums)
    with pytest.raises(AssertionError, match="metric_of_batches_is_that_of_all"):
        checks.metric(LastBatch)
