"""Every exported optimizer, schedule and callback through its battery."""

import importlib.util
import inspect
import tempfile
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from goldens.values import GRADIENTS, OPTIMIZERS, SCHEDULES
from talweg import callbacks, layers, ops, optimizers
from talweg.optimizers import Optimizer, schedules
from talweg.schedules import LearningRateSchedule
from talweg.testing import checks, parametrize_with_checks

SKELETONS = Path(__file__).parents[2] / "docs" / "skeletons"


def exported(package, base):
    found = {name: getattr(package, name) for name in package.__all__}
    return {
        name: cls
        for name, cls in found.items()
        if inspect.isclass(cls) and issubclass(cls, base) and cls is not base
    }


def skeleton(kind, name):
    spec = importlib.util.spec_from_file_location(f"skeleton_{kind}", SKELETONS / f"{kind}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


class Signed(Optimizer):
    """An optimizer in Keras's style."""

    def __init__(self, learning_rate=0.001, beta=0.5, name="signed", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta = beta

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self.m = self.add_optimizer_variables(var_list, "m")

    def update_step(self, gradient, variable, learning_rate):
        m = self.m[self._get_variable_index(variable)]
        self.assign(m, self.beta * m + (1 - self.beta) * gradient)
        self.assign_sub(variable, learning_rate * ops.sign(m))

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}


class Noisy(optimizers.Nadam):
    """An `update_step` over the rule of a known optimizer."""

    def update_step(self, gradient, variable, learning_rate):
        noise = 0.1 * ops.sin(ops.cast(self.iterations, gradient.dtype) + variable)
        super().update_step(gradient + noise, variable, 0.5 * learning_rate)


STRUCTURES = {
    "SGD-nesterov": partial(optimizers.SGD, momentum=0.9, nesterov=True),
    "RMSprop-centered": partial(optimizers.RMSprop, centered=True, momentum=0.5),
    "Adam-amsgrad": partial(optimizers.Adam, amsgrad=True),
    "skeleton": skeleton("optimizer", "Signum"),
    "update_step": Signed,
    "update_step-Nadam": Noisy,
}


def wrapped(cls, inner=optimizers.Adam, **options):
    """A wrapper with its own options, around an optimizer with all others."""
    required = {
        name: int(declaration.interval.low) + 1
        for name, declaration in cls.hypers.items()
        if declaration.default is None and declaration.integer and not declaration.optional
    }
    own = {name: value for name, value in options.items() if name in cls.hypers}
    rest = {name: value for name, value in options.items() if name not in cls.hypers}
    return cls(inner(**rest), **{**required, **own})


def several(cls, arrange, **options):
    """Two optimizers with the options that are not the owner's, as its own argument wants them."""
    own = {name: value for name, value in options.items() if name in cls.hypers}
    rest = {name: value for name, value in options.items() if name not in cls.hypers}
    return cls(**arrange(optimizers.Adam(**rest), optimizers.Adam(**rest)), **own)


def maker(cls):
    """What makes one from options alone."""
    if cls in ARRANGED:
        return partial(several, cls, ARRANGED[cls])
    if "inner_optimizer" in inspect.signature(cls).parameters:
        return partial(wrapped, cls)
    return cls


# How those of several optimizers take them; a new wrapper of one needs no line here.
ARRANGED = {
    optimizers.MultiOptimizer: lambda a, b: {
        "optimizer_map": optimizers.OptimizerMap(a, {"v[02]": b})
    },
    optimizers.ByPath: lambda a, b: {"parts": {"v0": b}, "default": a},
    optimizers.Phases: lambda a, b: {"phases": [(a, optimizers.Steps(4)), (b, None)]},
}
STRUCTURES |= {
    # Around one that is not stepped tensor by tensor, and one whose momentum is another.
    "Cautious-Muon": partial(wrapped, optimizers.Cautious, optimizers.Muon),
    "EMA-SGD": partial(wrapped, optimizers.EMA, partial(optimizers.SGD, momentum=0.9)),
    "SAM-adaptive": partial(wrapped, optimizers.SAM, adaptive=True),
    "Lookahead-Cautious": lambda **options: optimizers.Lookahead(
        wrapped(optimizers.Cautious, **options)
    ),
}
OPTIMIZERS_BY_NAME = {n: maker(c) for n, c in exported(optimizers, Optimizer).items()}


# All laws over all optimizers take a quarter of an hour: `make battery`. Every run has all
# laws over one of each kind, and over the others those that need no compiling to speak of.
KINDS = ("Adam", "ByPath", "update_step")
QUICK = {
    "config_makes_an_equal_optimizer",
    "every_invalid_value_is_refused",
    "unknown_arguments_are_refused",
}
EVERY = {**OPTIMIZERS_BY_NAME, **STRUCTURES}
OTHERS = {name: make for name, make in EVERY.items() if name not in KINDS}


@parametrize_with_checks(checks.OPTIMIZER, {name: EVERY[name] for name in KINDS})
def test_optimizer(check):
    check()


@parametrize_with_checks([law for law in checks.OPTIMIZER if law.__name__ in QUICK], OTHERS)
def test_optimizer_quickly(check):
    check()


@pytest.mark.battery
@parametrize_with_checks([law for law in checks.OPTIMIZER if law.__name__ not in QUICK], OTHERS)
def test_optimizer_at_length(check):
    check()


@parametrize_with_checks(
    checks.SCHEDULE,
    {
        name: partial(getattr(schedules, name), *arguments)
        for name, (arguments, _, _) in SCHEDULES.items()
    }
    | {"skeleton": partial(skeleton("schedule", "InverseRoot"), 0.1, 100)},
)
def test_schedule(check):
    check()


# What a callback needs that has no default; a new one with defaults needs no line here.
NEEDED = {
    "CSVLogger": lambda: callbacks.CSVLogger("/dev/null"),
    "BackupAndRestore": lambda: callbacks.BackupAndRestore(tempfile.mkdtemp()),
    "ModelCheckpoint": lambda: callbacks.ModelCheckpoint(f"{tempfile.mkdtemp()}/model.keras"),
    "CallbackList": None,  # holds callbacks, is none
    "LearningRateScheduler": lambda: callbacks.LearningRateScheduler(lambda e, r: r * 0.9),
    "MonitorCallback": None,  # a base
    "RemoteMonitor": None,  # needs a server
    "RunFolder": lambda: callbacks.RunFolder(tempfile.mkdtemp()),
    "SwapEMAWeights": None,  # needs an optimizer with averages
    "TensorBoard": lambda: callbacks.TensorBoard(tempfile.mkdtemp()),
}
CALLBACKS = {
    name: NEEDED.get(name, cls)
    for name, cls in exported(callbacks, callbacks.Callback).items()
    if NEEDED.get(name, cls) is not None
}


@pytest.mark.usefixtures("fully_compiled")
@parametrize_with_checks(
    checks.CALLBACK, {**CALLBACKS, "skeleton": skeleton("callback", "HalveRate")}
)
def test_callback(check):
    check()


@parametrize_with_checks(
    checks.layer_checks((4, 3)),
    {
        "skeleton": partial(skeleton("layer", "GatedDense"), 2),
        "Dense": partial(layers.Dense, 2, activation="tanh"),
        "BatchNormalization": layers.BatchNormalization,
        "Dropout": partial(layers.Dropout, 0.5),
    },
)
def test_layer(check):
    check()


def test_layer_of_several_inputs():
    checks.layer(layers.Add, (4, 3), (4, 3))


def test_skeletons_of_loss_and_metric():
    checks.loss(skeleton("loss", "EpsilonInsensitive"))
    checks.metric(skeleton("metric", "MaxError"))


@pytest.mark.parametrize("name", exported(optimizers, Optimizer))
def test_every_optimizer_reaches_its_golden_value(name):
    assert name in OPTIMIZERS, f"give tests/goldens/values.py a line for {name}"
    options, expected = OPTIMIZERS[name]
    optimizer = getattr(optimizers, name)(**options)
    p, reached = jnp.float32(1.0), []
    state = optimizer.init(p)
    for g in GRADIENTS:
        objective = None
        if optimizer.needs_objective:
            objective, g = jax.value_and_grad(lambda p: (p - 3) ** 2 / 2), p - 3
        p, state = optimizer.update(jnp.float32(g), state, p, objective)
        reached.append(float(p))
    np.testing.assert_allclose(reached, expected, rtol=2e-6)


@pytest.mark.parametrize("name", exported(schedules, LearningRateSchedule))
def test_every_schedule_reaches_its_golden_value(name):
    assert name in SCHEDULES, f"give tests/goldens/values.py a line for {name}"
    arguments, step, rate = SCHEDULES[name]
    assert float(getattr(schedules, name)(*arguments)(step)) == pytest.approx(rate, rel=1e-6)
