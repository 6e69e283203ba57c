"""Muon, SOAP and Shampoo beside the bare products of matrices that they cannot do without.

The unit of work is ten steps: SOAP and Shampoo take QR or eigenvalues at one step in ten.
The bare loop has neither moments nor weights, only the products, jitted, matrix by matrix. A step
takes the direction of the one before as its gradient: as in training, none can begin before
that one has ended.

LAPACK runs on one thread in both: XLA calls it from its own threads, and OpenBLAS's threads
then wait for each other on a machine with few cores (a batch of 4 eigenvalue problems of 512:
0.2 s on one thread, 5 s on two beside other work).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.peers import Peer, Trainer

STEPS = 10


@dataclass(frozen=True)
class Products:
    """Steps over matrices.

    Attributes:
        optimizer: the name in talweg.
        shapes: of the matrices.
        seconds: how long a measurement lasts, about.
    """

    optimizer: str
    shapes: tuple[tuple[int, int], ...] = ((512, 512),) * 4 + ((256, 1024),) * 2
    seconds: float = 0.5
    steps: float = STEPS

    def quick(self) -> "Products":
        """The same over two small matrices."""
        return replace(self, shapes=((64, 64), (32, 128)), seconds=0.05)

    def gradients(self) -> list[Any]:
        """The gradients, the same at every call."""
        import jax.numpy as jnp

        random = np.random.default_rng(0)
        return [jnp.asarray(random.normal(size=s).astype("float32")) for s in self.shapes]


def talweg_steps(workload: Products) -> Trainer:
    """The whole update, jitted, with its arrays donated."""
    import jax
    import jax.numpy as jnp

    from talweg import optimizers

    optimizer = getattr(optimizers, workload.optimizer)()
    grads = workload.gradients()
    params = [jnp.zeros_like(g) for g in grads]
    held = [params, jax.tree.map(jnp.copy, optimizer.init(params))]
    compiled = jax.jit(lambda p, s, g: optimizer.update(g, s, p), donate_argnums=(0, 1))

    def train(times: int) -> None:
        for _ in range(times * STEPS):
            held[:] = compiled(held[0], held[1], grads)
        jax.block_until_ready(held)

    return train


def bare_products(workload: Products) -> Trainer:
    """The products of every step, and those of one step in ten."""
    import jax
    import jax.numpy as jnp

    each, seldom = BARE[workload.optimizer]
    grads = workload.gradients()
    bases = [tuple(jnp.eye(n) for n in g.shape) for g in grads]
    grams = [(g @ g.T + jnp.eye(len(g)), g.T @ g + jnp.eye(g.shape[1])) for g in grads]
    every = jax.jit(lambda g, q: [each(*row) for row in zip(g, q, strict=True)])
    tenth = jax.jit(lambda g, a, q: [seldom(*row) for row in zip(g, a, q, strict=True)])

    def train(times: int) -> None:
        for _ in range(times):
            last = grads
            for _ in range(STEPS):
                done = every(last, bases)
                last = [row[0] for row in done]
            jax.block_until_ready([done, tenth(last, grams, bases)])

    return train


def newton_schulz(g: Any, bases: Any) -> Any:
    """Muon's five iterations."""
    x = g / 100.0
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.775 * a + 2.0315 * (a @ a)) @ x
    return (x,)


def projections(g: Any, bases: Any) -> Any:
    """SOAP's way into the bases and out, and the second moments."""
    left, right = bases
    inside = left.T @ g @ right
    return left @ inside @ right.T, g @ g.T, g.T @ g


def turned(g: Any, grams: Any, bases: Any) -> Any:
    """SOAP's next bases, and the momentum in them."""
    import jax.numpy as jnp

    left, right = (jnp.linalg.qr(gram @ basis)[0] for gram, basis in zip(grams, bases, strict=True))
    outside = bases[0] @ g @ bases[1].T
    return left, right, left.T @ outside @ right


def preconditioned(g: Any, roots: Any) -> Any:
    """Shampoo's direction and second moments."""
    return roots[0] @ g @ roots[1], g @ g.T, g.T @ g


def roots(g: Any, grams: Any, bases: Any) -> Any:
    """Shampoo's inverse roots."""
    import jax.numpy as jnp

    found = []
    for gram in grams:
        values, vectors = jnp.linalg.eigh(gram)
        found.append((vectors * values**-0.25) @ vectors.T)
    return found


Bare = tuple[Callable[..., Any], Callable[..., Any]]
BARE: dict[str, Bare] = {
    "Muon": (newton_schulz, lambda *row: ()),
    "SOAP": (projections, turned),
    "Shampoo": (preconditioned, roots),
}
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}

PEERS: dict[str, Peer] = {
    "products-talweg": Peer("talweg", talweg_steps, ("talweg",), environment=_ONE_THREAD),
    "products-bare": Peer(
        "its products alone, in JAX", bare_products, ("jax",), environment=_ONE_THREAD
    ),
}
WORKLOADS: dict[str, Products] = {name.lower(): Products(name) for name in BARE}
