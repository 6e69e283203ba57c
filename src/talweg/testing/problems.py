"""What the batteries minimize, and how they run an optimizer over it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core.compilation import QUICKLY
from talweg.core.variables import Variable
from talweg.optimizers import GradientAccumulation, Optimizer
from talweg.optimizers.composed import Composed
from talweg.optimizers.state import Objective

Make = Callable[..., Optimizer]
Loss = Callable[[Sequence[Any]], Any]

SHAPES: tuple[tuple[int, ...], ...] = ((), (3,), (3, 4), (2, 2, 3, 2))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit` for what runs a few times: without the passes that cost most of the compiling."""
    return jax.jit(function, compiler_options=QUICKLY)


def parameters() -> list[np.ndarray]:
    """A scalar, a vector, a matrix and a kernel of four axes."""
    rng = np.random.default_rng(1)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def gradients(count: int) -> list[list[np.ndarray]]:
    """Gradients for `parameters()`, of sizes that differ from step to step."""
    rng = np.random.default_rng(2)
    return [
        [
            np.float32(10 ** rng.uniform(-1, 1)) * rng.normal(size=s).astype("float32")
            for s in SHAPES
        ]
        for _ in range(count)
    ]


def parabola(params: Sequence[Any]) -> Any:
    """`Σ (p - 3)² / 2`; its minimum is 0."""
    return sum(jnp.sum(jnp.square(p.astype(jnp.float32) - 3.0)) for p in params) / 2


def rosenbrock(params: Sequence[Any]) -> Any:
    """`(1 - x)² + 100 (y - x²)²`, a bent valley; its minimum is 0."""
    x, y = params[0]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def two_by_two(params: Sequence[Any]) -> Any:
    """`|A W - B|²` for 2×2 matrices, ten times steeper along one axis than the other."""
    a, b = jnp.array([[3.0, 1.0], [1.0, 1.0]]), jnp.array([[1.0, 2.0], [-1.0, 0.5]])
    return jnp.sum(jnp.square(a @ params[0] - b))


def build(make: Make, params: Sequence[Any], **options: Any) -> Optimizer:
    """A new optimizer, built on new variables that hold `params`."""
    optimizer = make(**options)
    optimizer.build([Variable(p, name=f"v{i}") for i, p in enumerate(params)])
    return optimizer


def values(optimizer: Optimizer) -> list[Any]:
    """The variables that the optimizer was built on, as arrays."""
    return [variable.value for variable in optimizer.trainable_variables]


def bowl(gradient: Sequence[Any], params: Sequence[Any], curvature: float = 1.0) -> Objective:
    """An objective that has this gradient at `params`, for those that look at it again."""

    def objective(moved: Sequence[Any]) -> tuple[Any, Any]:
        loss, grads = jnp.float32(0), []
        for g, p, q in zip(gradient, params, moved, strict=True):
            if g is None:
                grads.append(None)
                continue
            way = jnp.asarray(q, jnp.float32) - jnp.asarray(p, jnp.float32)
            loss += jnp.sum(g * way) + curvature * jnp.sum(jnp.square(way)) / 2
            grads.append(g + curvature * way)
        return loss, grads

    return objective


def step_of(optimizer: Optimizer, curvature: float = 1.0) -> Callable[..., tuple[Any, Any]]:
    """The pure step along a gradient: `(gradient, state, params) -> (params, state)`."""

    def step(gradient: Any, state: Any, params: Any) -> tuple[Any, Any]:
        objective = bowl(gradient, params, curvature)
        return optimizer.update_built(gradient, state, params, objective)

    return step


def apply(optimizer: Optimizer, gradient: Sequence[Any]) -> None:
    """Step the variables along a gradient."""
    asks = optimizer.needs_objective
    optimizer.apply(gradient, objective=bowl(gradient, values(optimizer)) if asks else None)


def steps(
    optimizer: Optimizer, grads: Sequence[Any], params: Any = None, state: Any = None,
    step: Any = None,
) -> tuple[list[Any], Any]:  # fmt: skip
    """Parameters and state after one step for each of `grads`, from the cells by default."""
    params = values(optimizer) if params is None else params
    state = optimizer.cells_now() if state is None else state
    step = step or compiled(step_of(optimizer))
    for gradient in grads:
        params, state = step(gradient, state, params)
    return params, state


def at_rate(optimizer: Optimizer, state: Any, rate: Any) -> Any:
    """The state with another value of the rate, or of its multiplier where that is free."""
    return state._replace(hyper={**state.hyper, optimizer.free_rate: rate})


def descend(optimizer: Optimizer, loss: Loss, count: int, rates: Any) -> Any:
    """The loss after `count` steps, for each of the rates, side by side."""
    params, state = values(optimizer), optimizer.cells_now()

    def final(rate: Any) -> Any:
        own = at_rate(optimizer, state, rate)

        def body(_: Any, carry: Any) -> Any:
            params, state = carry
            grads = jax.grad(lambda p: optimizer.scaled_loss(loss(p), state))(params)
            return optimizer.update_built(grads, state, params, jax.value_and_grad(loss))

        return loss(jax.lax.fori_loop(0, count, body, (params, own))[0])

    return np.asarray(compiled(jax.vmap(final))(jnp.asarray(rates, jnp.float32)))


def gradients_per_step(make: Make) -> int:
    """How many gradients one step takes: above 1 where they accumulate."""
    optimizer, count = make(), 1
    while isinstance(optimizer, Composed):
        count *= optimizer.steps if isinstance(optimizer, GradientAccumulation) else 1
        optimizer = optimizer.parts[0]
    return count * (optimizer.gradient_accumulation_steps or 1)


def innermost(optimizer: Optimizer) -> Optimizer:
    """The optimizer, or the first inside, which takes the steps."""
    while isinstance(optimizer, Composed):
        optimizer = optimizer.parts[0]
    return optimizer


def average_of(optimizer: Optimizer, state: Any) -> list[Any]:
    """The averages that `use_ema` keeps, here or in the optimizers inside."""
    if not isinstance(optimizer, Composed):
        return list(state.average)
    found: dict[int, Any] = {}
    for k, own in enumerate(optimizer.members(optimizer.tensors)):
        inside = average_of(optimizer.parts[k], state.inner[k])
        for i, average in zip(own, inside, strict=True):
            found.setdefault(i, average)
    return [found[i] for i in sorted(found)]


def assert_same(actual: Any, expected: Any, what: str) -> None:
    """Two trees hold the same bits."""
    pairs = zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
    for a, b in pairs:
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype, f"{what}: {a.dtype} and {b.dtype}"
        assert np.array_equal(a, b, equal_nan=True), f"{what}: {a} and {b}"


def assert_close(actual: Any, expected: Any, what: str, rtol: float = 1e-5) -> None:
    """Two trees agree up to rounding."""
    pairs = zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(
            np.asarray(a, "float64"), np.asarray(b, "float64"), rtol=rtol, atol=rtol, err_msg=what
        )


def assert_refused(name: str, value: Any, attempt: Callable[[], Any]) -> None:
    """`attempt` raises ValueError or TypeError with a message that has `name` in it."""
    try:
        attempt()
    except (ValueError, TypeError) as error:
        message = str(error)
    else:
        raise AssertionError(f"{name}={value!r} was accepted")
    assert name in message, f"the message for {name}={value!r} does not name it: {message}"
