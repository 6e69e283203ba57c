"""Every optimizer comes down at its listed rate, within 10,000 steps."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optimizers.listed_rates import LISTED
from talweg import optimizers
from talweg.optimizers import SGD, Adam, Optimizer
from talweg.testing.landscapes import (
    LANDSCAPES,
    REQUIRED,
    STEPS,
    TOLERANCE,
    begin,
    descend,
    path,
)

EXPORTED = {
    name
    for name in optimizers.__all__
    if inspect.isclass(cls := getattr(optimizers, name))
    and issubclass(cls, Optimizer)
    and cls is not Optimizer
}

# To compile takes longer than to run.
quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def test_every_optimizer_is_listed_by_its_name():
    assert set(LISTED) == EXPORTED
    for name, make in LISTED.items():
        assert type(make()).__name__ == name


# One of each kind in every run, all of them in `make battery`.
KINDS = ("Adam", "ByPath", "LBFGS", "SAM", "ScheduleFreeAdamW")


@pytest.mark.parametrize(
    "name",
    [n if n in KINDS else pytest.param(n, marks=pytest.mark.battery) for n in LISTED],
)
def test_optimizer_solves_the_required_problems_and_never_compiles_twice(name):
    optimizer = LISTED[name]()

    @quick
    def start():
        return [begin(optimizer, landscape) for landscape in REQUIRED.values()]

    @quick
    def further(descents, steps):
        pairs = zip(REQUIRED.values(), descents, strict=True)
        return [descend(optimizer, landscape, at, steps) for landscape, at in pairs]

    first = further(start(), 2)
    last = further(first, STEPS - 2)
    assert further._cache_size() == 1, "the second call compiled again"
    for landscape, at in zip(REQUIRED, last, strict=True):
        assert at.count == STEPS
        assert at.error < TOLERANCE, f"{landscape}: {float(at.error):.3g} away"


# -- the landscapes ------------------------------------------------------------------

SOLUTIONS = {
    "parabola": [[1, -1, 1]],
    "rosenbrock": [[1, 1]],
    "matrix": [[[1, 2], [-1, 0.5]]],
    "beale": [[3, 0.5]],
    "branin": [[np.pi, 2.275]],
    "rastrigin": [[0, 0]],
    "ill-conditioned": [np.zeros(4)],
    "saddle": [[0, -1]],
    "plateau": [[1, -1]],
    "sparse": [np.tile([1.0, -1.0], 8)],
}


@pytest.mark.parametrize("name", SOLUTIONS)
def test_solution_is_a_flat_lowest_point_and_the_start_is_none(name):
    landscape = LANDSCAPES[name]
    solution = [jnp.asarray(p, jnp.float32) for p in SOLUTIONS[name]]
    assert landscape.error(solution) < landscape.tolerance
    assert landscape.error(landscape.start) > landscape.tolerance
    loss, gradient = quick(jax.value_and_grad(landscape.loss))(solution, jnp.int32(0))
    np.testing.assert_allclose(gradient[0], 0, atol=2e-3)
    # Steps far enough to be seen in float32.
    around = np.random.default_rng(0).normal(scale=0.1, size=(20, *solution[0].shape))
    higher = quick(jax.vmap(lambda p: landscape.loss([p], 0)))(solution[0] + np.float32(around))
    assert np.all(higher >= loss)


def test_required_problems_are_those_of_the_issue():
    assert list(REQUIRED) == ["parabola", "rosenbrock", "matrix", "mixed ranks"]
    assert {p.ndim for p in REQUIRED["mixed ranks"].start} == {0, 1, 2, 4}


def test_ill_conditioned_bowl_has_condition_ten_thousand():
    loss, start = LANDSCAPES["ill-conditioned"].loss, LANDSCAPES["ill-conditioned"].start[0]
    hessian = quick(jax.hessian(lambda x: loss([x], 0)))(start)
    assert np.linalg.cond(np.float64(hessian)) == pytest.approx(1e4, rel=0.02)
    assert np.abs(hessian - np.diag(np.diag(hessian))).max() > 1


def test_sparse_gradient_touches_one_component_and_noise_changes_with_the_step():
    def gradients(name):
        landscape = LANDSCAPES[name]
        gradient = jax.grad(landscape.loss)
        each = jax.vmap(lambda step: gradient(list(landscape.start), step)[0])
        return np.asarray(quick(each)(jnp.arange(40)))

    touched = gradients("sparse") != 0
    assert np.all(touched.sum(axis=1) == 1)
    assert touched.any(axis=0).sum() > 5
    assert not np.array_equal(*gradients("noisy")[:2])
    assert np.array_equal(gradients("noisy"), gradients("noisy"))


def after(optimizer, landscape, steps, factors):
    """Descents at several factors of the rate, side by side."""

    def one(factor):
        return descend(optimizer, landscape, begin(optimizer, landscape, factor), steps)

    return quick(jax.vmap(one))(jnp.float32(factors))


def test_descent_knows_when_it_arrived_and_when_it_was_outside_for_the_last_time():
    parabola = LANDSCAPES["parabola"]
    # Plain descent at 0.25 halves the distance, 11 at first, at every step.
    descents = after(SGD(0.25), parabola, 100, [1.0, 40.0])
    assert descents.outside.tolist() == [8, 100]
    assert descents.arrived.tolist() == [9, -1]
    assert descents.count.tolist() == [100, 100]
    assert descents.error[0] < TOLERANCE
    assert not descents.error[1] < TOLERANCE


def test_factor_is_one_of_the_rate():
    matrix = LANDSCAPES["matrix"]
    half = after(Adam(0.1), matrix, 10, [0.5])
    own = after(Adam(0.05), matrix, 10, [1.0])
    np.testing.assert_allclose(half.params[0], own.params[0], rtol=1e-6)


def test_path_begins_at_the_start_and_goes_where_the_descent_goes():
    valley, optimizer = LANDSCAPES["rosenbrock"], Adam(0.02)
    (points,) = quick(lambda: path(optimizer, valley, 30))()
    assert points.shape == (31, 2)
    np.testing.assert_array_equal(points[0], valley.start[0])
    there = after(optimizer, valley, 30, [1.0])
    np.testing.assert_allclose(points[-1], there.params[0][0], rtol=1e-4)
