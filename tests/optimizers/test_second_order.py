"""Sophia and L-BFGS: on losses without noise, against optax."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from talweg import optimizers
from talweg.optimizers.line_search import strong_wolfe
from talweg.optimizers.sophia import random_signs
from talweg.optimizers.state import Factors, Tensor

STEEP = (jnp.geomspace(0.5, 50.0, 6).reshape(2, 3), jnp.array([3.0, 0.25]), jnp.array(4.0))
LOWEST = (jnp.arange(6.0).reshape(2, 3) / 4, jnp.array([-1.0, 2.0]), jnp.array(0.5))


def bowl(params):
    """A parabola along the axes."""
    return sum(
        jnp.sum(a * jnp.square(p - b)) for a, p, b in zip(STEEP, params, LOWEST, strict=True)
    )


def coupled(params):
    """Smooth, not convex everywhere, and its Hessian has no zeros."""
    matrix, vector, scalar = params
    bent = jnp.sum(jnp.square(jnp.tanh(matrix.T @ vector) - scalar))
    return bent + jnp.sum(jnp.cosh(matrix)) + 0.5 * jnp.sum(jnp.square(vector - 1)) + scalar**4


def rosenbrock(params):
    x = jnp.concatenate([jnp.ravel(p) for p in params])
    return jnp.sum(100 * jnp.square(x[1:] - jnp.square(x[:-1])) + jnp.square(1 - x[:-1]))


def start():
    rng = np.random.default_rng(5)
    return tuple(jnp.asarray(0.5 * rng.normal(size=s)) for s in ((2, 3), (2,), ()))


def flat(params):
    return jnp.concatenate([jnp.ravel(p) for p in params])


def run(optimizer, loss, count, params=None, tensors=None):
    """The parameters after each step."""
    params = list(start() if params is None else params)
    tensors = tensors or [Tensor(str(i)) for i in range(len(params))]
    objective = jax.value_and_grad(loss)

    def body(carry, _):
        params, state = carry
        grads = jax.grad(loss)(params)
        params, state = optimizer.update_leaves(grads, state, params, tensors, objective)
        return (params, state), flat(params)

    return jax.jit(lambda p, s: jax.lax.scan(body, (p, s), None, count)[1])(
        params, optimizer.init(params)
    )


def run_optax(transformation, loss, count, **extra):
    def body(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        given = extra or {"value": value, "grad": grads, "value_fn": loss}
        updates, state = transformation.update(grads, state, params, **given)
        params = optax.apply_updates(params, updates)
        return (params, state), flat(params)

    params = start()
    return jax.jit(lambda p, s: jax.lax.scan(body, (p, s), None, count)[1])(
        params, transformation.init(params)
    )


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def same_signs(seed):
    """optax's Hutchinson estimate with the signs that talweg draws."""

    def update(updates, t, params=None, obj_fn=None):
        signs = tuple(random_signs(jax.random.PRNGKey(seed), t, params, range(len(params))))
        products = jax.jvp(jax.grad(obj_fn), (params,), (signs,))[1]
        # It is asked at steps 1, 11, 21, …
        return jax.tree.map(jnp.multiply, products, signs), t + 10

    return optax.GradientTransformationExtraArgs(lambda params: jnp.float32(1), update)


BETAS = {"b1": 1 - 2.0**-5, "b2": 1 - 2.0**-6}
OURS = {"beta_1": 1 - 2.0**-5, "beta_2": 1 - 2.0**-6}


@pytest.mark.sampled
@pytest.mark.parametrize("loss", [bowl, coupled])
def test_sophia_equals_optax(loss):
    gamma = 2.0**-6
    mine = optimizers.Sophia(0.03125, **OURS, gamma=gamma, clip=0.5, weight_decay=0.125, seed=3)
    theirs = optax.contrib.sophia(
        0.03125, **BETAS, gamma=gamma, clip_threshold=0.5, weight_decay=0.125,
        hessian_diagonal_fn=same_signs(3),
    )  # fmt: skip
    expected = run_optax(theirs, loss, 100, obj_fn=loss)
    np.testing.assert_allclose(run(mine, loss, 100), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.battery
def test_sophias_estimate_of_a_diagonal_hessian_is_exact():
    optimizer = optimizers.Sophia(beta_2=0.0)
    params = list(start())
    state = optimizer.init(params)
    _, state = jax.jit(lambda g, s, p: optimizer.update(g, s, p, jax.value_and_grad(bowl)))(
        jax.grad(bowl)(params), state, params
    )
    for s, steep in zip(state.slots, STEEP, strict=True):
        np.testing.assert_allclose(s.hessian, 2 * steep, rtol=1e-6)


def test_sophia_looks_every_so_many_steps_with_new_signs():
    optimizer = optimizers.Sophia(update_interval=3, beta_2=0.0)
    params = list(start())
    state = optimizer.init(params)
    step = jax.jit(lambda g, s, p: optimizer.update(g, s, p, jax.value_and_grad(coupled)))
    seen = []
    for _ in range(7):
        params, state = step(params, state, params)
        seen.append(np.asarray(state.slots[0].hessian))
    changed = [not np.array_equal(a, b) for a, b in pairwise(seen)]
    assert changed == [False, False, True, False, False, True]


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("loss", "count", "memory_size"),
    [(bowl, 12, 10), (coupled, 15, 10), (rosenbrock, 30, 10), (rosenbrock, 30, 3)],
)
def test_lbfgs_equals_optax_step_by_step(loss, count, memory_size):
    mine = run(optimizers.LBFGS(memory_size=memory_size), loss, count)
    theirs = run_optax(optax.lbfgs(memory_size=memory_size), loss, count)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.battery
def test_lbfgs_equals_optax_at_another_rate():
    mine = run(optimizers.LBFGS(0.25), coupled, 12)
    theirs = run_optax(optax.lbfgs(0.25), coupled, 12)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_lbfgs_solves_rosenbrock_in_a_few_steps():
    path = run(optimizers.LBFGS(), rosenbrock, 50, [jnp.array([-1.2, 1.0])])
    np.testing.assert_allclose(path[-1], [1.0, 1.0], rtol=1e-7)
    values = [float(rosenbrock([p])) for p in path]
    assert all(b <= a for a, b in pairwise(values))


@pytest.mark.battery
def test_lbfgs_in_float32_equals_optax():
    with jax.enable_x64(False):
        mine, theirs = run(optimizers.LBFGS(), bowl, 8), run_optax(optax.lbfgs(), bowl, 8)
    assert mine.dtype == np.float32
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


def test_lbfgs_leaves_a_frozen_part_and_a_slower_part_gets_there_too():
    one, zero = jnp.float32(1), jnp.float32(0)
    factors = [Factors(one / 4, one, one, False), None, Factors(zero, one, one, False)]
    tensors = [Tensor(str(i), factors=f) for i, f in enumerate(factors)]
    end = run(optimizers.LBFGS(), bowl, 40, tensors=tensors)[-1]
    np.testing.assert_allclose(end[:-1], flat(LOWEST)[:-1], atol=1e-5)
    assert float(end[-1]) == float(start()[-1])


def test_lbfgs_stays_where_no_step_lowers_the_loss():
    # The gradient points the wrong way.
    wrong = lambda params: (bowl(params), [-g for g in jax.grad(bowl)(params)])  # noqa: E731
    optimizer, params = optimizers.LBFGS(), list(start())
    state = optimizer.init(params)
    new, _ = jax.jit(lambda g, s, p: optimizer.update(g, s, p, wrong))(
        wrong(params)[1], state, params
    )
    np.testing.assert_array_equal(flat(new), flat(params))


@pytest.mark.parametrize("name", ["Sophia", "LBFGS"])
def test_without_an_objective_the_step_is_refused(name):
    optimizer = getattr(optimizers, name)()
    params = list(start())
    with pytest.raises(ValueError, match="objective"):
        optimizer.update(params, optimizer.init(params), params)


@pytest.mark.sampled(count=3)
@pytest.mark.parametrize(
    "line",
    [
        lambda a: (a - 3.0) ** 2,
        lambda a: -a / (a**2 + 2),
        lambda a: (a + 0.4) ** 5 - 2 * (a + 0.4) ** 4,
        lambda a: jnp.where(a < 2.5, -a, jnp.nan) + 0.3 * a**2,
        lambda a: 1e4 * a**4 - a,
    ],
)
def test_line_search_meets_both_conditions(line):
    along = jax.value_and_grad(line)
    value, slope = along(0.0)
    step = jax.jit(lambda v, s: strong_wolfe(along, v, s, 30))(value, slope)
    reached, flatter = along(step)
    assert reached <= value + 1e-4 * step * slope
    assert abs(flatter) <= 0.9 * abs(slope)
