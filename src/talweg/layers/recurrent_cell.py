"""Cells: one step of a recurrent layer, cut so that the work on inputs can be done at once.

A step is `project`, which no state enters and which therefore runs for all time steps in
one product, and what `stepper` returns, which `lax.scan` runs step by step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from talweg import activations, constraints, initializers, regularizers
from talweg.core.compilation import runs_on_cpu
from talweg.core.random import SeedGenerator
from talweg.layers.arguments import fields, integer, number
from talweg.layers.base import Layer

Step = Callable[[Any, Any], tuple[Any, list[Any]]]

WEIGHTS = (
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
)
NOISE = ("dropout", "recurrent_dropout", "seed")

_GET = {
    "activation": activations.get,
    "initializer": initializers.get,
    "regularizer": regularizers.get,
    "constraint": constraints.get,
}


class SteppedCell(Layer):
    """Base of cells that know which part of a step needs no state."""

    def draw(self, inputs: Any, states: Any) -> tuple[Any, Any]:
        """Dropout masks for a whole sequence: of the inputs, of the state; None where none."""
        raise NotImplementedError

    def projects_first(self, inputs: Any) -> bool:
        """Whether `project` runs for all steps at once, or in the loop, step by step."""
        return True

    def project(self, inputs: Any, dropped: Any) -> Any:
        """The part of a step that depends on the inputs only, (…, features) to (…, gates)."""
        raise NotImplementedError

    def stepper(self, dropped: Any) -> Step:
        """The rest of a step: (projected, states) to (output, states)."""
        raise NotImplementedError

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        nested = isinstance(states, (list, tuple))
        listed = list(states) if nested else [states]
        dropped, recurrent = self.draw(inputs, listed) if training else (None, None)
        output, new = self.stepper(recurrent)(self.project(inputs, dropped), listed)
        return output, (new if nested else new[0])


class RecurrentCell(SteppedCell):
    """Base of cells with a kernel, a recurrent kernel and a bias, one block per gate.

    Args:
        given: the arguments of the class, by name; those in `arguments` become attributes.
        kwargs: arguments of `Layer`, and `implementation`: 1 draws dropout for each gate.
    """

    arguments: ClassVar[tuple[str, ...]]
    gates: ClassVar[int]

    def __init__(self, given: Mapping[str, Any], kwargs: dict[str, Any]):
        implementation = kwargs.pop("implementation", 2) if self.gates > 1 else 2
        super().__init__(**kwargs)
        owner = type(self).__name__
        for name in self.arguments:
            resolve = _GET.get(name.rpartition("_")[2], lambda value: value)
            setattr(self, name, resolve(given[name]))
        size = "units" if "units" in self.arguments else "filters"
        self.units = integer(owner, size, given[size])
        self.dropout = number(owner, "dropout", given["dropout"], below=1.0)
        rate = number(owner, "recurrent_dropout", given["recurrent_dropout"], below=1.0)
        self.recurrent_dropout = rate
        self.implementation = 1 if rate and self.gates > 1 else implementation
        self.seed_generator = SeedGenerator(given["seed"])
        self.state_size: Any = self.units
        self.output_size = self.units

    # -- weights -----------------------------------------------------------------------

    def _add(self, part: str, shape: tuple[int, ...], initializer: Any = None) -> Any:
        prefix = "recurrent" if part == "recurrent_kernel" else part
        return self.add_weight(
            name=part,
            shape=shape,
            initializer=initializer or getattr(self, f"{prefix}_initializer"),
            regularizer=getattr(self, f"{prefix}_regularizer"),
            constraint=getattr(self, f"{prefix}_constraint"),
        )

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _bias_initializer(self) -> Any:
        return self.bias_initializer

    def build(self, input_shape: Any) -> None:
        width = self.gates * self.units
        self.kernel = self._add("kernel", (input_shape[-1], width))
        self.recurrent_kernel = self._add("recurrent_kernel", (self.units, width))
        self.bias = None
        if self.use_bias:
            self.bias = self._add("bias", self._bias_shape(), self._bias_initializer())

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Zeros, for a batch of this size."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [jnp.zeros((batch_size, size), self.compute_dtype) for size in sizes]

    # -- dropout -----------------------------------------------------------------------

    def draw(self, inputs: Any, states: Any) -> tuple[Any, Any]:
        return self._noise(self.dropout, inputs), self._noise(self.recurrent_dropout, states[0])

    def _noise(self, rate: float, like: Any) -> Any:
        """0 or 1 / (1 - rate), of the shape of `like`; a list, one per gate, where asked."""
        if not rate:
            return None

        def once() -> Any:
            kept = jax.random.bernoulli(self.seed_generator.next(), 1.0 - rate, like.shape)
            return jnp.where(kept, 1.0 / (1.0 - rate), 0.0).astype(like.dtype)

        return [once() for _ in range(self.gates)] if self.implementation == 1 else once()

    # -- products ----------------------------------------------------------------------

    def projects_first(self, inputs: Any) -> bool:
        """On a CPU the products of few features cost less than what all of them fill.

        A training step of LSTM(64), batch 64, 64 steps of 16 features, jax 0.10.2: 7.9 ms
        at once, 4.4 ms in the loop; of LSTM(128), 50 steps of 256: 13.0 and 14.2.
        """
        mixed = self.compute_dtype != self.variable_dtype  # the kernel would be cast each time
        return mixed or inputs.shape[-1] >= 2 * self.units or not runs_on_cpu()

    def project(self, inputs: Any, dropped: Any) -> Any:
        outputs = product(inputs, self.kernel.value, dropped)
        return outputs if self.bias is None else outputs + self.bias.value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **fields(self, *self.arguments)}


def product(x: Any, kernel: Any, dropped: Any) -> Any:
    """`(x * dropped) @ kernel`; a list drops for each of the kernel's blocks of columns."""
    if isinstance(dropped, list):
        blocks = jnp.split(kernel, len(dropped), axis=-1)
        parts = [(x * one) @ block for one, block in zip(dropped, blocks, strict=True)]
        return jnp.concatenate(parts, axis=-1)
    return (x if dropped is None else x * dropped) @ kernel


def forget_bias(initializer: Any, units: int, gates: int) -> Callable[..., Any]:
    """`initializer`, but ones for the second of the gates: it remembers at first."""

    def initialize(shape: Sequence[int], dtype: Any = None) -> Any:
        first = initializer((units,), dtype=dtype)
        rest = initializer((units * (gates - 2),), dtype=dtype)
        return jnp.concatenate([first, jnp.ones((units,), first.dtype), rest])

    return initialize
