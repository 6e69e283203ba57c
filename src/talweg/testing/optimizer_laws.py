"""What must hold for the steps of any optimizer."""

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.hyperparameters import Hyper
from talweg.optimizers import Optimizer
from talweg.testing.problems import (
    Make,
    assert_close,
    assert_same,
    build,
    descend,
    gradients,
    parabola,
    parameters,
    rosenbrock,
    steps,
    two_by_two,
    values,
)
from talweg.testing.strategies import sample

CLIPPERS = ("clipnorm", "global_clipnorm", "clipvalue")


def traced(make: Make) -> dict[str, Hyper]:
    """The hyperparameters that are data of the program, by name."""
    return {name: value for name, value in make().hypers.items() if value.traced}


def descends_at_its_default_rate(make: Make) -> None:
    """Forty steps at the rate that a user gets without asking make the loss smaller."""
    optimizer = build(make, parameters())
    start, rate = float(parabola(values(optimizer))), float(optimizer.learning_rate)
    end = descend(optimizer, parabola, 40, [rate])[0]
    assert end < start, f"the loss went from {start} to {end}"


def solves_small_problems_within_its_search_range(make: Make) -> None:
    """Some rate of the declared search range solves a bowl, a bent valley and a matrix."""
    low, high = type(make()).hypers["learning_rate"].search or (1e-4, 1.0)
    rates = np.geomspace(low, high, 9)
    corner = [np.array([-1.0, 1.0], "float32")]
    zeros = [np.zeros((2, 2), "float32")]
    for loss, params, share in (
        (parabola, parameters(), 0.01),
        (rosenbrock, corner, 0.3),
        (two_by_two, zeros, 0.1),
    ):
        optimizer = build(make, params)
        start = float(loss(values(optimizer)))
        best = np.nanmin(descend(optimizer, loss, 400, rates))
        assert best < share * start, f"{loss.__name__}: from {start} to {best} at the best rate"


def zero_rate_moves_nothing(make: Make) -> None:
    """At rate 0 the parameters stay as they are to the bit, weight decay included."""
    for options in ({}, {"weight_decay": 0.1}):
        optimizer = build(make, parameters(), **options)
        state = optimizer.cells_now()
        state = state._replace(hyper={**state.hyper, "learning_rate": jnp.float32(0)})
        assert_same(steps(optimizer, gradients(3), state=state)[0], parameters(), str(options))


def compiled_equals_eager(make: Make) -> None:
    """The step gives the same numbers compiled and operation by operation."""
    optimizer = build(make, parameters())
    compiled = steps(optimizer, gradients(3))
    eager = steps(optimizer, gradients(3), step=optimizer.update_built)
    assert_close(compiled, eager, "compiled and eager", rtol=1e-5)


def changed_hyperparameters_never_recompile(make: Make) -> None:
    """One trace serves every value that the declarations accept."""
    for clipper in CLIPPERS:
        switched_on: dict[str, Any] = {clipper: 1.0}
        for name, declaration in traced(make).items():
            if name not in CLIPPERS and declaration.optional:
                switched_on[name] = 0.5
            if declaration.off_at_zero:
                switched_on[name] = 0.5
        optimizer = build(make, parameters(), **switched_on, use_ema=True)
        _count_traces(optimizer, [n for n in traced(make) if n not in CLIPPERS or n == clipper])


def _count_traces(optimizer: Optimizer, names: list[str]) -> None:
    traces = 0

    def step(*args: Any) -> Any:
        nonlocal traces
        traces += 1
        return optimizer.update_built(*args)

    compiled = jax.jit(step)
    grads, params = gradients(1)[0], values(optimizer)

    def change(name: str, value: float) -> None:
        with warnings.catch_warnings():  # of a rate of 0
            warnings.simplefilter("ignore")
            setattr(optimizer, name, value)
        state = optimizer.cells_now()
        assert state.hyper[name] == np.float32(value), f"{name}: {value} did not arrive"
        compiled(grads, state, params)
        assert traces == 1, f"{name} = {value} recompiled the step"

    for name in names:
        before = float(getattr(optimizer, name))
        sample(optimizer.hypers[name], partial(change, name))
        setattr(optimizer, name, before)


def vmapped_equals_looped(make: Make) -> None:
    """A population over hyperparameters is what each member is alone."""
    optimizer = build(make, parameters())
    state = optimizer.cells_now()
    factors = jnp.array([1.0, 0.5, 0.9])
    population = {name: value * factors for name, value in state.hyper.items()}

    def member(hyper: Any) -> Any:
        params = values(optimizer)
        own = state._replace(hyper=hyper)
        if not optimizer.has_update_step:
            own = optimizer.init(params, hyper)
        return steps(optimizer, gradients(3), params, own, step=optimizer.update_built)

    together = jax.jit(jax.vmap(member))(population)
    alone = jax.jit(member)
    for i in range(len(factors)):
        expected = alone({name: value[i] for name, value in population.items()})
        assert_close(jax.tree.map(lambda a, i=i: a[i], together), expected, f"member {i}")


def resumed_equals_uninterrupted(make: Make) -> None:
    """A new optimizer with the old one's config and weights goes on with the same bits."""
    grads = gradients(6)
    first = build(make, parameters())
    expected, _ = steps(first, grads)
    middle, state = steps(first, grads[:3])
    first.write_state(state)
    saved = [np.asarray(weight) for weight in first.get_weights()]
    second = type(first).from_config(first.get_config())
    second = build(lambda: second, [np.asarray(p) for p in middle])
    second.set_weights(saved)
    resumed, _ = steps(second, grads[3:])
    assert_same(resumed, expected, "resumed and uninterrupted")


def missing_gradients_leave_their_tensor(make: Make) -> None:
    """A tensor without a gradient stays; the others move; no gradient at all is an error."""
    optimizer = build(make, parameters())
    grads = [[None if i == 1 else g for i, g in enumerate(step)] for step in gradients(3)]
    moved, _ = steps(optimizer, grads)
    assert_same(moved[1], parameters()[1], "the tensor without a gradient")
    for i in (0, 2, 3):
        assert not np.array_equal(moved[i], parameters()[i]), f"tensor {i} did not move"
    try:
        optimizer.update_built([None] * 4, optimizer.cells_now(), values(optimizer))
    except ValueError:
        return
    raise AssertionError("a step without any gradient was accepted")


def half_types_follow_float32(make: Make) -> None:
    """bfloat16 and float16 tensors keep their type and go where float32 goes."""
    rate = 0.1
    expected, _ = steps(build(make, parameters(), learning_rate=rate), gradients(20))
    way = _distance(expected, parameters())
    for dtype in ("bfloat16", "float16"):
        halves = [jnp.asarray(p, dtype) for p in parameters()]
        grads = [[jnp.asarray(g, dtype) for g in step] for step in gradients(20)]
        moved, _ = steps(build(make, halves, learning_rate=rate), grads)
        assert all(m.dtype == dtype for m in moved), f"{dtype} became {moved[0].dtype}"
        error = _distance(moved, expected) / way
        assert error < 0.1, f"{dtype} ends {error:.0%} of the way beside float32"


def _distance(a: Any, b: Any) -> float:
    pairs = zip(a, b, strict=True)
    return float(np.sqrt(sum(np.sum(np.square(np.float32(x) - np.float32(y))) for x, y in pairs)))


def accumulated_gradients_are_averaged(make: Make) -> None:
    """Two accumulated gradients move the weights once, as their mean does."""
    a, b = gradients(2)
    mean = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
    expected, _ = steps(build(make, parameters()), [mean])
    optimizer = build(make, parameters(), gradient_accumulation_steps=2)
    waiting, state = steps(optimizer, [a])
    assert_same(waiting, parameters(), "before the second gradient")
    moved, _ = steps(optimizer, [b], waiting, state)
    assert_close(moved, expected, "after the second gradient")


def average_follows_the_weights(make: Make) -> None:
    """With `use_ema`, the average is `m a + (1 - m) p`, from the first weights on."""
    optimizer = build(make, parameters(), use_ema=True, ema_momentum=0.5)
    step = jax.jit(optimizer.update_built)
    params, state = values(optimizer), optimizer.cells_now()
    average: Any = None
    for gradient in gradients(3):
        params, state = step(gradient, state, params)
        before = params if average is None else average
        average = [(a + p) / 2 for a, p in zip(before, params, strict=True)]
        assert_close(list(state.average), average, "the average")


LAWS = (
    descends_at_its_default_rate,
    solves_small_problems_within_its_search_range,
    zero_rate_moves_nothing,
    compiled_equals_eager,
    changed_hyperparameters_never_recompile,
    vmapped_equals_looped,
    resumed_equals_uninterrupted,
    missing_gradients_leave_their_tensor,
    half_types_follow_float32,
    accumulated_gradients_are_averaged,
    average_follows_the_weights,
)
