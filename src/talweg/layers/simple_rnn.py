"""SimpleRNN: the output is fed back as it is."""

from typing import Any

from talweg.layers.recurrent_cell import NOISE, WEIGHTS, RecurrentCell, Step, product
from talweg.layers.rnn import OneCellRNN


class SimpleRNNCell(RecurrentCell):
    """One step of `SimpleRNN`: `h' = activation(x @ kernel + bias + h @ recurrent_kernel)`.

    Args: as of `SimpleRNN`.

    >>> import numpy as np
    >>> output, states = SimpleRNNCell(3)(np.ones((2, 4)), [np.zeros((2, 3))])
    >>> output.shape, len(states)
    ((2, 3), 1)
    """

    arguments = ("units", "activation", "use_bias", *WEIGHTS, *NOISE)
    gates = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(locals(), kwargs)

    def stepper(self, dropped: Any) -> Step:
        kernel = self.recurrent_kernel.value

        def step(projected: Any, states: Any) -> Any:
            output = self.activation(projected + product(states[0], kernel, dropped))
            return output, [output]

        return step


class SimpleRNN(OneCellRNN):
    """A recurrent layer without gates: `h_t = activation(x_t W + b + h_{t-1} R)`.

    (batch, steps, features) to (batch, units), or (batch, steps, units).

    Args:
        units: the size of the state and of the output.
        activation: name or function.
        use_bias: whether a bias is added.
        kernel_initializer: of W, (features, units); Glorot uniform.
        recurrent_initializer: of R, (units, units); orthogonal.
        bias_initializer: of b, (units,); zeros.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties.
        activity_regularizer: penalty on the output.
        kernel_constraint, recurrent_constraint, bias_constraint: projections.
        dropout, recurrent_dropout: the shares of the inputs and of the state to drop in
            training, in [0, 1); the same at each step of a sequence.
        return_sequences, return_state, go_backwards, stateful, unroll: as of `RNN`.
        seed: an integer for dropout that repeats.

    >>> import numpy as np
    >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(locals(), kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["seed"]  # Keras's record of this layer has none
        return config
