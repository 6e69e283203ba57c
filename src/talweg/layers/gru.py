"""GRU: the gated recurrent unit."""

from typing import Any

import jax.numpy as jnp

from talweg.layers.lstm import without_cudnn
from talweg.layers.recurrent_cell import NOISE, WEIGHTS, RecurrentCell, Step, product
from talweg.layers.rnn import OneCellRNN


class GRUCell(RecurrentCell):
    """One step of `GRU`; the state is the output.

    Args: as of `GRU`.

    >>> import numpy as np
    >>> output, states = GRUCell(3)(np.ones((2, 4)), [np.zeros((2, 3))])
    >>> output.shape, len(states)
    ((2, 3), 1)
    """

    arguments = (
        "units", "activation", "recurrent_activation", "use_bias", *WEIGHTS, *NOISE,
        "reset_after",
    )  # fmt: skip
    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(locals(), kwargs)

    def _bias_shape(self) -> tuple[int, ...]:
        """Two rows, for the inputs and for the state, where the reset acts on the product."""
        width = self.gates * self.units
        return (2, width) if self.reset_after else (width,)

    def project(self, inputs: Any, dropped: Any) -> Any:
        outputs = product(inputs, self.kernel.value, dropped)
        if self.bias is None:
            return outputs
        return outputs + (self.bias.value[0] if self.reset_after else self.bias.value)

    def stepper(self, dropped: Any) -> Step:
        kernel, units = self.recurrent_kernel.value, self.units
        gate, activation = self.recurrent_activation, self.activation
        bias = self.bias.value[1] if self.reset_after and self.bias is not None else 0.0
        by_gate = isinstance(dropped, list)
        of_gates, of_candidate = (dropped[:2], dropped[2]) if by_gate else (dropped, dropped)

        def step(projected: Any, states: Any) -> Any:
            state = states[0]
            x_gates, x_candidate = jnp.split(projected, [2 * units], axis=-1)
            if self.reset_after:
                inner = product(state, kernel, dropped) + bias
                z, r = jnp.split(gate(x_gates + inner[..., : 2 * units]), 2, axis=-1)
                candidate = activation(x_candidate + r * inner[..., 2 * units :])
            else:
                inner = product(state, kernel[:, : 2 * units], of_gates)
                z, r = jnp.split(gate(x_gates + inner), 2, axis=-1)
                reset = product(r * state, kernel[:, 2 * units :], of_candidate)
                candidate = activation(x_candidate + reset)
            output = z * state + (1 - z) * candidate
            return output, [output]

        return step


class GRU(OneCellRNN):
    """The gated recurrent unit: (batch, steps, features) to (batch, units).

    With `z` and `r` the recurrent activations of `x_t W + b + h_{t-1} R`,
    `h_t = z h_{t-1} + (1 - z) activation(x_t W_h + r (h_{t-1} R_h + b_h))`, or, where
    `reset_after` is False, with `(r h_{t-1}) R_h`. Cho et al., EMNLP 2014,
    arXiv:1406.1078.

    Args:
        units: the size of the state and of the output.
        activation: of the candidate.
        recurrent_activation: of the gates.
        use_bias: whether biases are added.
        kernel_initializer: of W, (features, 3 units); Glorot uniform.
        recurrent_initializer: of R, (units, 3 units); orthogonal.
        bias_initializer: of b, (2, 3 units), or (3 units,); zeros.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        activity_regularizer: penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections.
        dropout, recurrent_dropout: the shares of the inputs and of the state to drop in
            training, in [0, 1); the same at each step of a sequence.
        seed: an integer for dropout that repeats.
        return_sequences, return_state, go_backwards, stateful, unroll: as of `RNN`.
        reset_after: whether the reset gate acts on the product, or before it.
        use_cudnn: accepted as Keras does; only "auto" and False.

    >>> import numpy as np
    >>> GRU(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    cell_class = GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ):
        super().__init__(locals(), kwargs)
        self.use_cudnn = without_cudnn("GRU", use_cudnn)
