"""ConvLSTM: an LSTM whose products are convolutions."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import lax

from talweg.core import errors
from talweg.core.config import standardize_data_format
from talweg.core.memory import share_one_heap
from talweg.layers.arguments import choice, integers
from talweg.layers.input_spec import InputSpec
from talweg.layers.lstm import remembered
from talweg.layers.recurrent_cell import (
    NOISE,
    WEIGHTS,
    RecurrentCell,
    Step,
    forget_bias,
)
from talweg.layers.rnn import OneCellRNN
from talweg.layers.windows import by_patches, suits_patches, windows_shape

Sizes = int | Sequence[int]


class _ConvLSTMCell(RecurrentCell):
    """One step of a ConvLSTM over `rank` spatial axes."""

    arguments = (
        "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate",
        "activation", "recurrent_activation", "use_bias", "unit_forget_bias", *WEIGHTS, *NOISE,
    )  # fmt: skip
    gates = 4

    def __init__(self, rank: int, **kwargs: Any):
        share_one_heap()
        given = {name: kwargs.pop(name) for name in self.arguments}
        super().__init__(given, kwargs)
        owner = f"ConvLSTM{rank}D"
        self.rank = rank
        self.kernel_size = integers(owner, "kernel_size", given["kernel_size"], rank)
        self.strides = integers(owner, "strides", given["strides"], rank)
        self.dilation_rate = integers(owner, "dilation_rate", given["dilation_rate"], rank)
        self.padding = choice(owner, "padding", given["padding"], ("valid", "same"))
        self.data_format = standardize_data_format(given["data_format"])
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise errors.invalid(
                owner, "strides", f"1 with dilation_rate={self.dilation_rate}", self.strides,
                "A convolution is either strided or dilated.",
            )  # fmt: skip
        self.implementation = 1  # each gate drops entries of its own
        self.state_size = -1

    def build(self, input_shape: Any) -> None:
        last = self.data_format == "channels_last"
        channels = input_shape[-1 if last else 1]
        if None in input_shape[1:]:
            raise errors.invalid(
                f"Layer {self.name!r}", "the input", "of known size but for batch and steps",
                tuple(input_shape),
            )  # fmt: skip
        self._step_shape = tuple(input_shape)
        width = self.gates * self.filters
        self.kernel = self._add("kernel", (*self.kernel_size, channels, width))
        self.recurrent_kernel = self._add(
            "recurrent_kernel", (*self.kernel_size, self.filters, width)
        )
        self.bias = None
        if self.use_bias:
            initializer = self.bias_initializer
            if self.unit_forget_bias:
                initializer = forget_bias(initializer, self.filters, self.gates)
            self.bias = self._add("bias", (width,), initializer)

    def output_shape(self, input_shape: Any) -> Any:
        """The shape of the output of a step."""
        spans = (d * (k - 1) + 1 for d, k in zip(self.dilation_rate, self.kernel_size, strict=True))
        return windows_shape(
            self, input_shape, tuple(spans), self.strides, self.padding == "same", self.filters
        )

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        shape = self.output_shape((batch_size, *self._step_shape[1:]))
        return [jnp.zeros(shape, self.compute_dtype)] * 2

    # -- the step ----------------------------------------------------------------------

    def projects_first(self, inputs: Any) -> bool:
        return True

    def project(self, inputs: Any, dropped: Any) -> Any:
        steps = inputs.shape[: inputs.ndim - self.rank - 1]
        kernel = self.kernel.value
        if dropped is None:
            outputs = self._convolve(_flat(inputs, self.rank), kernel, self.strides, self.padding,
                                     self.dilation_rate)  # fmt: skip
        else:
            blocks = jnp.split(kernel, self.gates, axis=-1)
            outputs = jnp.concatenate(
                [
                    self._convolve(_flat(inputs * one, self.rank), block, self.strides,
                                   self.padding, self.dilation_rate)
                    for one, block in zip(dropped, blocks, strict=True)
                ],
                axis=self._channel_axis,
            )  # fmt: skip
        if self.bias is not None:
            bias = self.bias.value
            if self.data_format == "channels_first":
                bias = bias.reshape(-1, *(1,) * self.rank)
            outputs = outputs + bias
        return outputs.reshape(*steps, *outputs.shape[1:])

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else -1 - self.rank

    def stepper(self, dropped: Any) -> Step:
        kernel, ones = self.recurrent_kernel.value, (1,) * self.rank
        axis = self._channel_axis

        def inner(state: Any) -> Any:
            if dropped is None:
                return self._convolve(state, kernel, ones, "same", ones)
            blocks = jnp.split(kernel, self.gates, axis=-1)
            parts = [
                self._convolve(state * one, block, ones, "same", ones)
                for one, block in zip(dropped, blocks, strict=True)
            ]
            return jnp.concatenate(parts, axis=axis)

        def step(projected: Any, states: Any) -> Any:
            gates = jnp.split(projected + inner(states[0]), self.gates, axis=axis)
            return remembered(self, gates, states[1])

        return step

    def _convolve(
        self, x: Any, kernel: Any, strides: Sequence[int], padding: str, dilation: Sequence[int]
    ) -> Any:
        if suits_patches(self, x, math.prod(self.kernel_size)):
            return by_patches(x, kernel, strides, padding.upper(), dilation)
        axes = "WHD"[: self.rank][::-1]
        layout = f"N{axes}C" if self.data_format == "channels_last" else f"NC{axes}"
        return lax.conv_general_dilated(
            x, kernel, strides, padding.upper(), rhs_dilation=dilation,
            dimension_numbers=(layout, f"{axes}IO", layout),
        )  # fmt: skip


def _flat(inputs: Any, rank: int) -> Any:
    """Steps and batch as one axis: a convolution does not mix them."""
    return inputs.reshape(-1, *inputs.shape[inputs.ndim - rank - 1 :])


class ConvLSTM(OneCellRNN):
    """Base of ConvLSTM layers; the arguments are those of `ConvLSTM2D`."""

    cell_class = _ConvLSTMCell
    rank: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ):
        super().__init__(locals(), kwargs)
        self.input_spec = InputSpec(ndim=self.rank + 3)

    def _make_cell(self, arguments: dict[str, Any]) -> _ConvLSTMCell:
        return _ConvLSTMCell(self.rank, **arguments)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, steps = sequences_shape[:2]
        state = tuple(self.cell.output_shape((batch, *sequences_shape[2:])))
        output = (batch, steps, *state[1:]) if self.return_sequences else state
        return (output, state, state) if self.return_state else output

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = super().compute_mask(inputs, previous_mask)
        return [masks[0], None, None] if self.return_state else masks


class ConvLSTM1D(ConvLSTM):
    """A ConvLSTM over sequences of lines: (batch, steps, places, channels).

    Args: as of `ConvLSTM2D`, with one axis.

    >>> import numpy as np
    >>> ConvLSTM1D(4, 3, padding="same")(np.ones((2, 5, 6, 3))).shape
    (2, 6, 4)
    """

    rank = 1


class ConvLSTM2D(ConvLSTM):
    """A ConvLSTM over sequences of images: (batch, steps, rows, columns, channels).

    The formulas are those of `LSTM`, with convolutions in the place of the products; the
    state is convolved with "same" padding. Shi et al., NeurIPS 2015, arXiv:1506.04214.

    Args:
        filters: the number of output channels.
        kernel_size, strides, padding, data_format, dilation_rate: as of `Conv2D`, for the
            inputs; the state is convolved with a kernel of the same size and stride 1.
        activation: of the candidate and of the memory.
        recurrent_activation: of the gates.
        use_bias: whether a bias is added.
        kernel_initializer: of the inputs' kernel, (rows, columns, channels, 4 filters).
        recurrent_initializer: of the state's kernel, (rows, columns, filters, 4 filters).
        bias_initializer: of the bias, (4 filters,).
        unit_forget_bias: whether the forget gate's bias starts at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        activity_regularizer: penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections.
        dropout, recurrent_dropout: the shares of the inputs and of the state to drop.
        seed: an integer for dropout that repeats.
        return_sequences, return_state, go_backwards, stateful: as of `RNN`.

    >>> import numpy as np
    >>> ConvLSTM2D(4, 3)(np.ones((2, 5, 8, 7, 3))).shape
    (2, 6, 5, 4)
    """

    rank = 2


class ConvLSTM3D(ConvLSTM):
    """A ConvLSTM over sequences of volumes: (batch, steps, depth, rows, columns, channels).

    Args: as of `ConvLSTM2D`, with three axes.

    >>> import numpy as np
    >>> ConvLSTM3D(2, 2)(np.ones((1, 3, 4, 4, 4, 1))).shape
    (1, 3, 3, 3, 2)
    """

    rank = 3
