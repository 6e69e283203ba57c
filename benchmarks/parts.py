"""Ten parts of a model with multipliers of their own, beside one Adam for all of it.

Ten updates are one program here, as in `fit`: a call of `jit` takes 2 µs for each array of the
state, and the parts' multipliers are 40 more.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers import Peer, Trainer, keras_trainer
from benchmarks.workloads import Workload, flat_digits

LAYERS = 10
WIDTH = 512


@dataclass(frozen=True)
class Parts:
    """The update of ten dense layers by itself: 20 arrays.

    Attributes:
        width: inputs and outputs of each layer.
        seconds: how long a measurement lasts, about.
        steps: updates in a unit of work, which is one call.
    """

    width: int = WIDTH
    seconds: float = 0.3
    steps: int = 10

    def quick(self) -> "Parts":
        """The same with narrow layers."""
        return replace(self, width=32, seconds=0.05)

    def gradients(self) -> dict[str, Any]:
        """The gradients, the same at every call."""
        random = np.random.default_rng(0)
        shapes = {"kernel": (self.width, self.width), "bias": (self.width,)}
        return {
            f"layer_{i}": {
                name: random.normal(size=shape).astype("float32") for name, shape in shapes.items()
            }
            for i in range(LAYERS)
        }


def one(optimizers: Any) -> Any:
    """One Adam for all."""
    return optimizers.Adam()


def by_path(optimizers: Any) -> Any:
    """A multiplier for every layer, all of 1: they cost what others do, and both train alike."""
    return optimizers.ByPath({f"layer_{i}/*": 1.0 for i in range(LAYERS)})


def updates(make: Callable[[Any], Any], workload: Parts) -> Trainer:
    """The pure `update` in a loop, jitted, with its arrays donated."""
    import jax
    import jax.numpy as jnp

    from talweg import optimizers

    optimizer = make(optimizers)
    grads = jax.tree.map(jnp.asarray, workload.gradients())
    params = jax.tree.map(jnp.zeros_like, grads)
    held = [params, jax.tree.map(jnp.copy, optimizer.init(params))]

    def block(params: Any, state: Any, grads: Any) -> Any:
        def body(_: Any, carry: Any) -> Any:
            return optimizer.update(grads, carry[1], carry[0])

        return jax.lax.fori_loop(0, workload.steps, body, (params, state))

    compiled = jax.jit(block, donate_argnums=(0, 1))

    def train(times: int) -> None:
        for _ in range(times):
            held[:] = compiled(held[0], held[1], grads)
        jax.block_until_ready(held)

    return train


def fits(make: Callable[[Any], Any], workload: Workload) -> Trainer:
    """`fit` of talweg with the optimizer."""
    return keras_trainer("talweg", workload, optimizer=make)


def deep_model(keras: Any) -> Any:
    """784 numbers through nine dense layers to ten classes."""
    layers = [
        keras.layers.Dense(256, activation="relu", name=f"layer_{i}") for i in range(LAYERS - 1)
    ]
    last = keras.layers.Dense(10, activation="softmax", name=f"layer_{LAYERS - 1}")
    return keras.Sequential([keras.Input((784,)), *layers, last])


DEEP = Workload(
    "deep", flat_digits, deep_model, 40 * 128, 128, "sparse_categorical_crossentropy", seconds=0.5
)

PEERS: dict[str, Peer] = {
    "parts-ten": Peer("talweg", partial(updates, by_path), ("talweg",)),
    "parts-one": Peer("one Adam", partial(updates, one), ("talweg",)),
    "fit-ten": Peer("talweg", partial(fits, by_path), ("talweg",)),
    "fit-one": Peer("one Adam", partial(fits, one), ("talweg",)),
}
WORKLOADS: dict[str, Parts | Workload] = {"parts": Parts(), "deep": DEEP}
