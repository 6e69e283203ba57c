"""What must hold for the steps of any optimizer."""

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.hyperparameters import Hyper
from talweg.optimizers import Optimizer
from talweg.optimizers.composed import Composed, Wrapper
from talweg.testing.problems import (
    Make,
    assert_close,
    assert_same,
    at_rate,
    average_of,
    build,
    compiled,
    descend,
    gradients,
    gradients_per_step,
    innermost,
    parabola,
    parameters,
    rosenbrock,
    step_of,
    steps,
    two_by_two,
    values,
)
from talweg.testing.strategies import sample

CLIPPERS = ("clipnorm", "global_clipnorm", "clipvalue")


def traced(make: Make) -> dict[str, Hyper]:
    """The hyperparameters that are data of the program, by name."""
    return {name: value for name, value in _hypers(make()).items() if value.traced}


def _hypers(optimizer: Optimizer) -> dict[str, Hyper]:
    """Those that can be set by their names alone, of the optimizers inside too."""
    inside = _hypers(optimizer.inner_optimizer) if isinstance(optimizer, Wrapper) else {}
    return {**inside, **optimizer.hypers}


def descends_at_its_default_rate(make: Make) -> None:
    """Forty steps at the rate that a user gets without asking make the loss smaller."""
    optimizer = build(make, parameters())
    start = float(parabola(values(optimizer)))
    rate = float(getattr(optimizer, optimizer.free_rate))
    end = descend(optimizer, parabola, 40, [rate])[0]
    assert end < start, f"the loss went from {start} to {end}"


def solves_small_problems_within_its_search_range(make: Make) -> None:
    """Some rate of the declared search range solves a bowl, a bent valley and a matrix."""
    rates = np.geomspace(*_search_range(make()), 9)
    corner = [np.array([-1.0, 1.0], "float32")]
    zeros = [np.zeros((2, 2), "float32")]
    for loss, params, share in (
        (parabola, parameters(), 0.01),
        (rosenbrock, corner, 0.2),
        (two_by_two, zeros, 0.1),
    ):
        optimizer = build(make, params)
        start = float(loss(values(optimizer)))
        best = np.nanmin(descend(optimizer, loss, 1200, rates))
        assert best < share * start, f"{loss.__name__}: from {start} to {best} at the best rate"


def _search_range(optimizer: Optimizer) -> tuple[float, float]:
    """Of the rate of the (first) optimizer inside, in units of what is free to be set."""
    low, high = type(innermost(optimizer)).hypers["learning_rate"].search or (1e-4, 1.0)
    unit = optimizer.rate if optimizer.free_rate == "rate_multiplier" else 1.0
    return low / unit, high / unit


def zero_rate_moves_nothing(make: Make) -> None:
    """At rate 0 the parameters stay as they are to the bit, weight decay included."""
    for options in ({}, {"weight_decay": 0.1}):
        optimizer = build(make, parameters(), **options)
        state = at_rate(optimizer, optimizer.cells_now(), jnp.float32(0))
        assert_same(steps(optimizer, gradients(3), state=state)[0], parameters(), str(options))


def compiled_equals_eager(make: Make) -> None:
    """The step gives the same numbers compiled and operation by operation."""
    optimizer = build(make, parameters())
    compiled = steps(optimizer, gradients(3))
    eager = steps(optimizer, gradients(3), step=step_of(optimizer))
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
        if make().handles_overflow:  # it scales by itself
            switched_on.pop("loss_scale_factor", None)
        optimizer = build(make, parameters(), **switched_on, use_ema=True)
        off = {*CLIPPERS, "loss_scale_factor"} - set(switched_on)
        _count_traces(optimizer, [name for name in traced(make) if name not in off])


def _count_traces(optimizer: Optimizer, names: list[str]) -> None:
    traces = 0

    def step(*args: Any) -> Any:
        nonlocal traces
        traces += 1
        return step_of(optimizer)(*args)

    once = compiled(step)
    grads, params = gradients(1)[0], values(optimizer)

    def change(name: str, value: float) -> None:
        with warnings.catch_warnings():  # of a rate of 0
            warnings.simplefilter("ignore")
            setattr(optimizer, name, value)
        state = optimizer.cells_now()
        assert state.hyper[name] == np.float32(value), f"{name}: {value} did not arrive"
        once(grads, state, params)
        assert traces == 1, f"{name} = {value} recompiled the step"

    for name in names:
        before = float(getattr(optimizer, name))
        sample(_hypers(optimizer)[name], partial(change, name))
        setattr(optimizer, name, before)


def vmapped_equals_looped(make: Make) -> None:
    """A population over hyperparameters is what each member is alone."""
    optimizer = build(make, parameters())
    state = optimizer.cells_now()
    factors = jnp.array([1.0, 0.5, 0.9])
    population = jax.tree.map(
        lambda value: jnp.repeat(value, 3) if value.dtype == bool else value * factors, state.hyper
    )

    def member(hyper: Any) -> Any:
        params = values(optimizer)
        own = state._replace(hyper=hyper)
        if not optimizer.has_update_step:
            own = optimizer.init_leaves(params, optimizer.tensors, hyper)
        return steps(optimizer, gradients(3), params, own, step=step_of(optimizer))

    together = compiled(jax.vmap(member))(population)
    alone = compiled(member)
    for i in range(len(factors)):
        expected = alone(jax.tree.map(lambda a, i=i: a[i], population))
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
    # A rate at which the way is one that a half type can see.
    size = _distance(parameters(), [np.zeros_like(p) for p in parameters()])
    for rate in np.geomspace(0.1, 1e7, 9):
        optimizer = build(make, parameters(), learning_rate=rate)
        expected, _ = steps(optimizer, gradients(20), step=_way(optimizer))
        way = _distance(expected, parameters())
        if way > size / 4:
            break
    for dtype in ("bfloat16", "float16"):
        halves = [jnp.asarray(p, dtype) for p in parameters()]
        grads = [[jnp.asarray(g, dtype) for g in step] for step in gradients(20)]
        optimizer = build(make, halves, learning_rate=rate)
        moved, _ = steps(optimizer, grads, step=_way(optimizer))
        assert all(m.dtype == dtype for m in moved), f"{dtype} became {moved[0].dtype}"
        error = _distance(moved, expected) / way
        assert error < 0.1, f"{dtype} ends {error:.0%} of the way beside float32"


def _way(optimizer: Optimizer) -> Any:
    """A step along what is given, or down a bowl where the loss itself is searched."""
    if not optimizer.needs_objective:
        return compiled(step_of(optimizer))
    look = jax.value_and_grad(parabola)
    return compiled(lambda _, state, p: optimizer.update_built(look(p)[1], state, p, look))


def _distance(a: Any, b: Any) -> float:
    pairs = zip(a, b, strict=True)
    return float(np.sqrt(sum(np.sum(np.square(np.float32(x) - np.float32(y))) for x, y in pairs)))


def accumulated_gradients_are_averaged(make: Make) -> None:
    """Two accumulated gradients move the weights once, as their mean does."""
    a, b = gradients(2)
    mean = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
    count = gradients_per_step(make)
    optimizer = build(make, parameters())
    # Without curvature: what looks at the loss again must see the same gradient there.
    expected, _ = steps(optimizer, [mean] * count, step=compiled(step_of(optimizer, 0.0)))
    optimizer = build(make, parameters(), gradient_accumulation_steps=2)
    step = compiled(step_of(optimizer, 0.0))
    waiting, state = steps(optimizer, [a] * count, step=step)
    assert_same(waiting, parameters(), "before the second gradient")
    if isinstance(optimizer, Composed) and "seed" in optimizer.hypers:
        return  # what it adds to each gradient is drawn anew
    moved, _ = steps(optimizer, [b] * count, waiting, state, step)
    assert_close(moved, expected, "after the second gradient")


def average_follows_the_weights(make: Make) -> None:
    """With `use_ema`, the average is `m a + (1 - m) p`, from the first weights on."""
    count = gradients_per_step(make)
    optimizer = build(make, parameters(), use_ema=True, ema_momentum=0.5)
    step = compiled(step_of(optimizer))
    params, state = values(optimizer), optimizer.cells_now()
    average: Any = None
    for gradient in gradients(3):
        params, state = steps(optimizer, [gradient] * count, params, state, step)
        before = params if average is None else average
        average = [(a + p) / 2 for a, p in zip(before, params, strict=True)]
        assert_close(average_of(optimizer, state), average, "the average")


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
