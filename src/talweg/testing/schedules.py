"""What must hold for any schedule."""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.hyperparameters import Hyper, Interval
from talweg.core.variables import Variable
from talweg.optimizers import SGD, schedules
from talweg.schedules import LearningRateSchedule
from talweg.testing.optimizer_faces import invalid_values
from talweg.testing.problems import assert_refused

Make = Callable[[], LearningRateSchedule]
STEPS = (0, 1, 2, 3, 7, 10, 31, 100, 999, 1000, 12345, 10**6, 2**31 - 1)


def rates_are_finite_and_not_negative(make: Make) -> None:
    """At every step, up to the last that can be counted; a float32 scalar."""
    schedule = jax.jit(make().__call__)
    for step in STEPS:
        rate = schedule(jnp.int32(step))
        assert rate.shape == (), f"at step {step} the rate has shape {rate.shape}"
        assert rate.dtype == jnp.float32, f"at step {step} the rate is {rate.dtype}"
        assert jnp.isfinite(rate), f"at step {step} the rate is {rate}"
        assert rate >= 0, f"at step {step} the rate is {rate}"


def arrays_of_steps_give_arrays_of_rates(make: Make) -> None:
    """`schedule(arange(n))` is the plot."""
    schedule = make()
    steps = jnp.arange(200)
    together = np.asarray(schedule(steps))
    assert together.shape == (200,), f"shape {together.shape}"
    single = jax.jit(schedule.__call__)
    alone = [float(single(step)) for step in steps[::20]]
    np.testing.assert_allclose(together[::20], alone, rtol=1e-4, atol=1e-7)


def compiled_equals_eager(make: Make) -> None:
    """The rate is a pure function of the step."""
    schedule = make()
    steps = jnp.array(STEPS, jnp.int32)
    first, again = np.asarray(schedule(steps)), np.asarray(schedule(steps))
    assert np.array_equal(first, again), "the same step gave another rate"
    np.testing.assert_allclose(jax.jit(schedule.__call__)(steps), first, rtol=1e-4, atol=1e-7)


def optimizers_follow_it(make: Make) -> None:
    """An optimizer steps at the scheduled rate and cannot be set to a number."""
    schedule = make()
    variable = Variable(jnp.zeros(1))
    optimizer = SGD(schedule)
    optimizer.build([variable])
    for step in range(3):
        before = variable.numpy()
        optimizer.apply([jnp.ones(1)])
        moved = before - variable.numpy()
        np.testing.assert_allclose(moved, float(schedule(step)), rtol=1e-4, atol=1e-7)
    set_rate = partial(setattr, optimizer, "learning_rate", 0.1)
    assert_refused("rate_multiplier", 0.1, set_rate)


def config_makes_an_equal_schedule(make: Make) -> None:
    """`from_config(get_config())` gives the same rates, also after a trip through JSON."""
    schedule = make()
    cls = type(schedule)
    config = schedule.get_config()
    again = cls.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config, f"{config} became {again.get_config()}"
    record = json.loads(json.dumps(schedules.serialize(schedule)))
    read = schedules.deserialize(record, {cls.__name__: cls})
    steps = jnp.arange(50)
    assert np.array_equal(read(steps), schedule(steps)), "the record gives other rates"


def every_invalid_value_is_refused(make: Make) -> None:
    """Each declared argument, with a message that names it. Needs a dataclass."""
    schedule = make()
    entries: Any = dataclasses.fields(schedule) if dataclasses.is_dataclass(schedule) else ()
    given = {entry.name: getattr(schedule, entry.name) for entry in entries if entry.init}
    for entry in entries:
        declaration: Hyper | None = entry.metadata.get("declaration")
        refused = invalid_values(declaration) if declaration else []
        if "options" in entry.metadata:
            refused = ["no such option", "", 1, None]
        if "each" in entry.metadata:
            outside = Interval.parse(entry.metadata["each"]).outside()
            refused = [1.0, "ab", None, ["a"], [True], *([value] for value in outside)]
        for value in refused:
            call = partial(type(schedule), **{**given, entry.name: value})
            assert_refused(entry.name, value, call)


SCHEDULE = (
    rates_are_finite_and_not_negative,
    arrays_of_steps_give_arrays_of_rates,
    compiled_equals_eager,
    optimizers_follow_it,
    config_makes_an_equal_schedule,
    every_invalid_value_is_refused,
)
