"""EinsumDense: a dense layer between any axes, named by an equation."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from talweg import activations, constraints, initializers, regularizers
from talweg.core import errors
from talweg.initializers import VarianceScaling
from talweg.layers.arguments import fields, integer, unsupported
from talweg.layers.input_spec import InputSpec
from talweg.layers.low_rank import Adaptable, LowRank


class EinsumDense(LowRank):
    """`activation(einsum(equation, x, kernel) + bias)`.

    Args:
        equation: "ab,bc->ac", with axes of the input, of the kernel and of the output; the
            input's and the output's may begin or end with "...".
        output_shape: the sizes of the output's axes without the batch axis and those under
            "..."; None where an axis has the input's size.
        activation: name or function; None is linear.
        bias_axes: the letters of the output's axes that the bias has; None is no bias.
        kernel_initializer: Glorot uniform; its fans are the axes that the equation sums over
            and those that it keeps.
        bias_initializer: zeros.
        kernel_regularizer, bias_regularizer: penalties.
        kernel_constraint, bias_constraint: projections after each update.
        lora_rank, lora_alpha: a product of this rank learns in place of the kernel; see `Dense`.
        gptq_unpacked_column_size, quantization_config: Keras's; only None is accepted.

    Raises:
        ValueError: the equation is not of this form, or does not fit the shapes.

    >>> import numpy as np
    >>> heads = EinsumDense("abc,cde->abde", output_shape=(None, 2, 8), bias_axes="de")
    >>> heads(np.ones((4, 5, 3))).shape
    (4, 5, 2, 8)
    >>> [v.shape for v in heads.weights]
    [(3, 2, 8), (2, 8)]
    """

    kernel = Adaptable()

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: None = None,
        quantization_config: None = None,
        **kwargs: Any,
    ):
        unsupported(
            "EinsumDense",
            gptq_unpacked_column_size=gptq_unpacked_column_size,
            quantization_config=quantization_config,
        )
        super().__init__(lora_rank=lora_rank, lora_alpha=lora_alpha, **kwargs)
        self._terms = _terms(equation)
        self.equation = equation
        sizes = [output_shape] if isinstance(output_shape, int) else list(output_shape)
        self.partial_output_shape = tuple(
            size if size is None else integer("EinsumDense", "each size of output_shape", size)
            for size in sizes
        )
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.quantization_config = None

    def build(self, input_shape: Any) -> None:
        sizes = self._sizes(input_shape)
        kernel, output = self._terms.kernel, self._terms.output
        initializer = self.kernel_initializer
        if isinstance(initializer, VarianceScaling) and None in (
            initializer.input_axes, initializer.output_axes,
        ):  # fmt: skip
            initializer = copy.copy(initializer)
            kept = [letter in output for letter in kernel]
            initializer.input_axes = [axis for axis, keeps in enumerate(kept) if not keeps]
            initializer.output_axes = [axis for axis, keeps in enumerate(kept) if keeps]
        self.kernel = self.add_weight(
            name="kernel",
            shape=tuple(sizes[letter] for letter in kernel),
            initializer=initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.bias_axes is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=self._bias_shape(sizes, len(input_shape)),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(ndim=len(input_shape))
        self._enable_lora_if_asked()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        terms, equation = self._terms, self.equation
        if terms.elided != "right" and terms.output[-1:] == terms.kernel[-1:] not in terms.input:
            outputs = self._through(lambda kernel: jnp.einsum(equation, inputs, kernel))
        else:
            outputs = jnp.einsum(equation, inputs, self._merged())
        if self.bias is not None:
            outputs = outputs + self.bias.value
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes, terms = self._sizes(input_shape), self._terms
        own = tuple(sizes[letter] for letter in terms.output)
        hidden = len(input_shape) - len(terms.input)
        if terms.elided == "left":
            return (*input_shape[:hidden], *own)
        return (*own, *input_shape[len(terms.input) :])

    def _sizes(self, input_shape: Sequence[int | None]) -> dict[str, int | None]:
        """The size of each axis by its letter, from the input and from `output_shape`."""
        terms, owner = self._terms, f"EinsumDense {self.equation!r}"
        hidden = len(input_shape) - len(terms.input)
        if hidden < 0 or (hidden > 0 and terms.elided is None):
            raise errors.invalid(owner, "the input", f"of rank {len(terms.input)}", input_shape)
        own = input_shape[hidden:] if terms.elided == "left" else input_shape[: len(terms.input)]
        sizes = dict(zip(terms.input, own, strict=True))
        # The batch axis is not among the given sizes, unless it lies under the ellipsis.
        letters = terms.output if terms.elided == "left" and hidden else terms.output[1:]
        if len(letters) != len(self.partial_output_shape):
            raise errors.invalid(
                owner, "output_shape", f"{len(letters)} sizes", self.partial_output_shape
            )
        if letters != terms.output:
            sizes.setdefault(terms.output[0], input_shape[0])
        for letter, size in zip(letters, self.partial_output_shape, strict=True):
            known = sizes.get(letter)
            if size is not None and letter in terms.input and known not in (None, size):
                raise errors.invalid(
                    owner, f"axis {letter!r} of output_shape", f"the input's size {known}", size
                )
            sizes[letter] = known if size is None else size
        return sizes

    def _bias_shape(self, sizes: dict[str, int | None], rank: int) -> tuple[int | None, ...]:
        output = self._terms.output
        unknown = set(self.bias_axes or "") - set(output)
        if unknown or not self.bias_axes:
            raise errors.invalid(
                "EinsumDense", "bias_axes", f"among the output's axes {output!r}", self.bias_axes
            )
        first = min(map(output.index, self.bias_axes))
        shape = [sizes[axis] if axis in self.bias_axes else 1 for axis in output[first:]]
        hidden = rank - len(self._terms.input)
        return (*shape, *(1 for _ in range(hidden if self._terms.elided == "right" else 0)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            **fields(
                self,
                "equation",
                "activation",
                "bias_axes",
                "kernel_initializer",
                "bias_initializer",
                "kernel_regularizer",
                "bias_regularizer",
                "activity_regularizer",
                "kernel_constraint",
                "bias_constraint",
                "quantization_config",
            ),
        }


class _Terms(NamedTuple):
    """The letters of an equation; `elided` is "left", "right" or None."""

    input: str
    kernel: str
    output: str
    elided: str | None


def _terms(equation: Any) -> _Terms:
    """Take an equation apart.

    >>> _terms("...x,xy->...y")
    _Terms(input='x', kernel='xy', output='y', elided='left')
    """
    whole = str(equation).replace(" ", "")
    left, _, output = whole.partition("->")
    inputs, _, kernel = left.partition(",")
    ellipses = {
        side
        for side, has in (("left", str.startswith), ("right", str.endswith))
        if has(inputs, "...") and has(output, "...")
    }
    bare = [inputs.replace("...", "", 1), kernel, output.replace("...", "", 1)]
    same = inputs.count("...") == output.count("...") == len(ellipses) <= 1
    if not same or not all(term.isascii() and term.isalpha() for term in bare):
        raise errors.invalid(
            "EinsumDense", "equation", "[X],[Y]->[Z], ...[X],[Y]->...[Z] or [X]...,[Y]->[Z]...",
            equation,
        )  # fmt: skip
    missing = set(bare[1]) - set(bare[0]) - set(bare[2]), set(bare[2]) - set(bare[0]) - set(bare[1])
    if missing[0] or missing[1]:
        raise errors.invalid(
            "EinsumDense", "each axis of the kernel and of the output",
            "an axis of another term too", "".join(sorted(missing[0] | missing[1])),
        )  # fmt: skip
    return _Terms(bare[0], bare[1], bare[2], next(iter(ellipses), None))
