"""LSTM: long short-term memory."""

from typing import Any

import jax.numpy as jnp

from talweg.core import errors
from talweg.layers.recurrent_cell import (
    NOISE,
    WEIGHTS,
    RecurrentCell,
    Step,
    forget_bias,
    product,
)
from talweg.layers.rnn import OneCellRNN


class LSTMCell(RecurrentCell):
    """One step of `LSTM`; the states are the output h and the memory c.

    Args: as of `LSTM`.

    >>> import numpy as np
    >>> zeros = np.zeros((2, 3))
    >>> output, states = LSTMCell(3)(np.ones((2, 4)), [zeros, zeros])
    >>> output.shape, len(states)
    ((2, 3), 2)
    """

    arguments = (
        "units", "activation", "recurrent_activation", "use_bias", "unit_forget_bias",
        *WEIGHTS, *NOISE,
    )  # fmt: skip
    gates = 4

    def __init__(
        self,
        units: int,
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(locals(), kwargs)
        self.state_size = [self.units, self.units]

    def _bias_initializer(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        return forget_bias(self.bias_initializer, self.units, self.gates)

    def stepper(self, dropped: Any) -> Step:
        kernel = self.recurrent_kernel.value

        def step(projected: Any, states: Any) -> Any:
            gates = projected + product(states[0], kernel, dropped)
            return remembered(self, jnp.split(gates, 4, axis=-1), states[1])

        return step


def remembered(cell: Any, gates: Any, memory: Any) -> tuple[Any, list[Any]]:
    """Output and states from the sums of the four gates and the memory before."""
    i, f, c, o = gates
    gate, activation = cell.recurrent_activation, cell.activation
    memory = gate(f) * memory + gate(i) * activation(c)
    output = gate(o) * activation(memory)
    return output, [output, memory]


class LSTM(OneCellRNN):
    """Long short-term memory: (batch, steps, features) to (batch, units).

    With `[i, f, g, o] = x_t W + b + h_{t-1} R` and σ the recurrent activation,
    `c_t = σ(f) c_{t-1} + σ(i) activation(g)` and `h_t = σ(o) activation(c_t)`.
    Hochreiter & Schmidhuber, Neural Computation 9 (1997).

    Args:
        units: the size of the state and of the output.
        activation: of the candidate and of the memory.
        recurrent_activation: of the gates.
        use_bias: whether a bias is added.
        kernel_initializer: of W, (features, 4 units); Glorot uniform.
        recurrent_initializer: of R, (units, 4 units); orthogonal.
        bias_initializer: of b, (4 units,); zeros.
        unit_forget_bias: whether the forget gate's bias starts at 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        activity_regularizer: penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections.
        dropout, recurrent_dropout: the shares of the inputs and of the state to drop in
            training, in [0, 1); the same at each step of a sequence.
        seed: an integer for dropout that repeats.
        return_sequences, return_state, go_backwards, stateful, unroll: as of `RNN`.
        use_cudnn: accepted as Keras does; only "auto" and False.

    >>> import numpy as np
    >>> LSTM(4, return_sequences=True)(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    cell_class = LSTMCell

    def __init__(
        self,
        units: int,
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
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ):
        super().__init__(locals(), kwargs)
        self.use_cudnn = without_cudnn("LSTM", use_cudnn)


def without_cudnn(owner: str, use_cudnn: Any) -> Any:
    """`use_cudnn` if it does not insist."""
    if use_cudnn not in ("auto", False):
        raise errors.invalid(
            owner, "use_cudnn", '"auto" or False', use_cudnn, "XLA compiles the loop here."
        )
    return use_cudnn
