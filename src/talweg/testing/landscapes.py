"""Deterministic problems with a known solution, and how an optimizer comes down on them.

Parabola and Rosenbrock's valley are those of optax's tests. Rastrigin, Beale and Branin are
classics of global optimization (Surjanovic & Bingham, Virtual Library of Simulation
Experiments). The rest are small models of what makes training hard: curvatures that differ
by 10^4, a saddle, a plateau, noise, gradients that are zero most of the time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from talweg.optimizers import Optimizer
from talweg.optimizers.state import tensors_of

STEPS = 10_000
TOLERANCE = 3e-2


@dataclass(frozen=True)
class Landscape:
    """A loss to go down on.

    Attributes:
        loss: `(params, step) -> scalar`; the step, an int32 from 0, is what noise and
            batches depend on.
        start: where to begin, a list of arrays.
        error: `(params) -> scalar`, zero at a solution.
        about: what it is, in a phrase.
        tolerance: the error up to which a point counts as a solution.
        required: whether every optimizer must solve it.
    """

    loss: Callable[[Any, Any], Any]
    start: Sequence[np.ndarray]
    error: Callable[[Any], Any]
    about: str = ""
    tolerance: float = TOLERANCE
    required: bool = False


class Descent(NamedTuple):
    """A descent under way.

    Attributes:
        params: the weights that are trained.
        state: the optimizer's.
        count: how many steps were taken.
        arrived: the first step after which the point was a solution; -1: none was.
        outside: the last step after which the point was no solution.
        error: of the point to evaluate at, after the last step.
    """

    params: Any
    state: Any
    count: Any
    arrived: Any
    outside: Any
    error: Any


def begin(optimizer: Optimizer, landscape: Landscape, factor: Any = 1.0) -> Descent:
    """A descent before its first step; pure.

    Args:
        optimizer: one that is not built.
        landscape: the loss.
        factor: of the rate, on top of the optimizer's own.
    """
    params = [jnp.asarray(p, jnp.float32) for p in landscape.start]
    state = optimizer.init(params, {"rate_multiplier": jnp.float32(factor)})
    zero = jnp.int32(0)
    return Descent(params, state, zero, zero - 1, zero, jnp.float32(landscape.error(params)))


def step(optimizer: Optimizer, landscape: Landscape, at: Descent) -> Descent:
    """The descent one step further; pure."""

    def objective(params: Any) -> Any:
        return jax.value_and_grad(landscape.loss)(params, at.count)

    def scaled(params: Any) -> Any:
        return optimizer.scaled_loss(landscape.loss(params, at.count), at.state)

    again = objective if optimizer.needs_objective else None
    params, state = optimizer.update(jax.grad(scaled)(at.params), at.state, at.params, again)
    count = at.count + 1
    error = jnp.float32(landscape.error(evaluated(optimizer, params, state)))
    solved = error < landscape.tolerance  # not a number is no solution
    arrived = jnp.where(solved & (at.arrived < 0), count, at.arrived)
    return Descent(params, state, count, arrived, jnp.where(solved, at.outside, count), error)


def evaluated(optimizer: Optimizer, params: Any, state: Any) -> Any:
    """The weights to use, from those that are trained."""
    return optimizer.evaluation_leaves(params, state, tensors_of(params))


def descend(optimizer: Optimizer, landscape: Landscape, at: Descent, steps: Any) -> Descent:
    """The descent `steps` further; pure, and `steps` may be an array."""
    return jax.lax.fori_loop(0, steps, lambda _, at: step(optimizer, landscape, at), at)


def path(optimizer: Optimizer, landscape: Landscape, steps: int, factor: Any = 1.0) -> Any:
    """The weights to use at the start and after each of `steps` steps, along a leading axis."""

    def body(at: Descent, _: Any) -> Any:
        point = evaluated(optimizer, at.params, at.state)
        return step(optimizer, landscape, at), point

    return jax.lax.scan(body, begin(optimizer, landscape, factor), length=steps + 1)[1]


# -- what counts as solved -----------------------------------------------------------


def distance(*solutions: Sequence[Any]) -> Callable[[Any], Any]:
    """The largest difference of a component, from the nearest of some points."""

    def error(params: Any) -> Any:
        each = [
            jnp.max(
                jnp.stack([jnp.max(jnp.abs(p - s)) for p, s in zip(params, solution, strict=True)])
            )
            for solution in solutions
        ]
        return jnp.min(jnp.stack(each))

    return error


# -- the losses ----------------------------------------------------------------------

_rng = np.random.default_rng(3)


def _drawn(*shape: int) -> np.ndarray:
    return _rng.normal(size=shape).astype("float32")


PARABOLA = (np.float32([1.0, -1.0, 1.0]),)
MATRIX = (np.float32([[1.0, 2.0], [-1.0, 0.5]]),)
MIXED = (_drawn(), _drawn(3), _drawn(3, 4), _drawn(2, 2, 3, 2))
# Eigenvalues from 0.01 to 100 along axes that are not those of the components.
_AXES = np.linalg.qr(_rng.normal(size=(4, 4)))[0]
HESSIAN = np.float32(_AXES @ np.diag(np.geomspace(1e-2, 1e2, 4)) @ _AXES.T)
NOISY_CURVATURES = np.float32(1 / np.arange(1, 9))
SPARSE = np.where(np.arange(16) % 2 == 0, np.float32(1.0), np.float32(-1.0))
FREQUENCIES = np.log(1 / np.arange(1.0, 17.0))
XOR_INPUTS = np.float32([[-1, -1], [-1, 1], [1, -1], [1, 1]])
XOR_TARGETS = np.float32([0, 1, 1, 0])


def _components(params: Any) -> Any:
    return jnp.concatenate([jnp.ravel(p) for p in params])


def squared_distance(target: Sequence[Any]) -> Callable[[Any, Any], Any]:
    """`Σ (p - target)²`."""

    def loss(params: Any, step: Any) -> Any:
        return sum(jnp.sum(jnp.square(p - t)) for p, t in zip(params, target, strict=True))

    return loss


def rosenbrock(params: Any, step: Any = 0, steepness: float = 100.0) -> Any:
    """`(1 - x)² + 100 (y - x²)²`, a bent valley; its minimum is at (1, 1)."""
    x, y = _components(params)
    return (1 - x) ** 2 + steepness * (y - x**2) ** 2


def rastrigin(params: Any, step: Any = 0) -> Any:
    """`Σ x² + 10 (1 - cos 2πx)`, a bowl full of pits; its lowest is at 0."""
    (x,) = params
    return jnp.sum(x**2 + 10 * (1 - jnp.cos(2 * jnp.pi * x)))


def beale(params: Any, step: Any = 0) -> Any:
    """`Σ_k (c_k - x + x y^k)²`, flat with steep walls; its minimum is at (3, 1/2)."""
    x, y = _components(params)
    return sum((c - x + x * y**k) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


def branin(params: Any, step: Any = 0) -> Any:
    """Branin's function, with three lowest points."""
    x, y = _components(params)
    inner = y - 5.1 / (4 * jnp.pi**2) * x**2 + 5 / jnp.pi * x - 6
    return inner**2 + 10 * (1 - 1 / (8 * jnp.pi)) * jnp.cos(x) + 10


def noisy_quadratic(params: Any, step: Any) -> Any:
    """`Σ h (x - n)² / 2` with noise n of deviation 0.3 at every step."""
    (x,) = params
    noise = 0.3 * jax.random.normal(jax.random.fold_in(jax.random.PRNGKey(0), step), x.shape)
    return jnp.sum(NOISY_CURVATURES * jnp.square(x - noise)) / 2


def ill_conditioned(params: Any, step: Any = 0) -> Any:
    """`xᵀ H x / 2` with curvatures from 0.01 to 100 along crooked axes."""
    (x,) = params
    return x @ HESSIAN @ x / 2


def saddle(params: Any, step: Any = 0) -> Any:
    """`x² / 2 - y² / 2 + y⁴ / 4`: a saddle at 0, minima at (0, ±1)."""
    x, y = _components(params)
    return x**2 / 2 - y**2 / 2 + y**4 / 4


def plateau(params: Any, step: Any = 0) -> Any:
    """`1 - exp(-((x - 1)² + (y + 1)²) / 2)`, flat far from its minimum at (1, -1)."""
    x, y = _components(params)
    return 1 - jnp.exp(-((x - 1) ** 2 + (y + 1) ** 2) / 2)


def sparse(params: Any, step: Any) -> Any:
    """`(x_i - target_i)² / 2` of one component a step, the k-th as rare as 1 / k."""
    (x,) = params
    i = jax.random.categorical(jax.random.fold_in(jax.random.PRNGKey(1), step), FREQUENCIES)
    return jnp.square(x[i] - jnp.asarray(SPARSE)[i]) / 2


def xor(params: Any, step: Any = 0) -> Any:
    """The cross entropy of a network of four hidden units on the exclusive or."""
    kernel, bias, head, offset = params
    logits = jnp.tanh(XOR_INPUTS @ kernel + bias) @ head + offset
    return jnp.mean(jax.nn.softplus(logits) - XOR_TARGETS * logits)


def _point(*components: float) -> tuple[np.ndarray, ...]:
    return (np.asarray(components, np.float32),)


LANDSCAPES: Mapping[str, Landscape] = MappingProxyType(
    {
        "parabola": Landscape(
            squared_distance(PARABOLA), _point(-1, 10, 1), distance(PARABOLA),
            "the squared distance from (1, -1, 1), from (-1, 10, 1)", required=True,
        ),
        "rosenbrock": Landscape(
            rosenbrock, _point(0, 0), distance(_point(1, 1)),
            "a bent valley, `(1 - x)² + 100 (y - x²)²`, from (0, 0)", required=True,
        ),
        "matrix": Landscape(
            squared_distance(MATRIX), [np.zeros((2, 2), np.float32)], distance(MATRIX),
            "the squared distance from a 2×2 matrix, from zeros", required=True,
        ),
        "mixed ranks": Landscape(
            squared_distance(MIXED), [np.zeros_like(p) for p in MIXED], distance(MIXED),
            "that from a scalar, a vector, a matrix and a kernel of four axes", required=True,
        ),
        "beale": Landscape(
            beale, _point(1, 1), distance(_point(3, 0.5)),
            "Beale's function, flat between steep walls, from (1, 1)",
        ),
        "branin": Landscape(
            branin, _point(5, 10),
            distance(_point(-np.pi, 12.275), _point(np.pi, 2.275), _point(3 * np.pi, 2.475)),
            "Branin's function, with three lowest points, from (5, 10)",
        ),
        "rastrigin": Landscape(
            rastrigin, _point(-2, 3.5), distance(_point(0, 0)),
            "a bowl full of pits, from (-2, 3.5): to find its lowest is luck, or a long step",
        ),
        "ill-conditioned": Landscape(
            ill_conditioned, _point(1, 1, 1, 1), distance(_point(0, 0, 0, 0)),
            "a bowl in four dimensions with curvatures from 0.01 to 100 along crooked axes",
        ),
        "saddle": Landscape(
            saddle, _point(1, 1e-3), distance(_point(0, 1), _point(0, -1)),
            "`x² / 2 - y² / 2 + y⁴ / 4`, from (1, 0.001): past the saddle to a minimum",
        ),
        "plateau": Landscape(
            plateau, _point(4, 1.5), distance(_point(1, -1)),
            "`1 - exp(-r² / 2)` at the distance r from (1, -1), from (4, 1.5), where its "
            "gradient is 0.002",
        ),
        "sparse": Landscape(
            sparse, _point(*[0] * 16), distance((SPARSE,)),
            "a gradient in one of 16 components a step, some sixteen times as rare as others",
        ),
        "noisy": Landscape(
            noisy_quadratic, _point(*[1] * 8), distance(_point(*[0] * 8)),
            "a bowl in eight dimensions whose minimum jumps by 0.3 from step to step",
            tolerance=0.1,
        ),
        "xor": Landscape(
            xor, [_drawn(2, 4), np.zeros(4, np.float32), _drawn(4), np.float32(0)], xor,
            "the cross entropy of a network of four hidden units on the exclusive or",
        ),
    }
)  # fmt: skip
REQUIRED = {name: landscape for name, landscape in LANDSCAPES.items() if landscape.required}
