"""Low-rank adaptation: a weight that stands still, plus a small product that learns."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from talweg.core.variables import Variable
from talweg.layers.arguments import integer, number
from talweg.layers.base import Layer


class Adaptable:
    """The weight of a `LowRank` layer, as an attribute: its variable, or W + (α/r) A B.

    The layer's `build` sets it to the variable W.
    """

    def __set_name__(self, owner: Any, name: str) -> None:
        self.name = name
        owner._adapts = name

    def __get__(self, layer: Any, owner: Any = None) -> Any:
        if layer is None:
            return self
        variable = layer._weight
        if variable is None:
            raise AttributeError(
                f"Layer {layer.name!r} has no {self.name} yet: build it or call it first."
            )
        return layer._merged() if layer.lora_enabled else variable

    def __set__(self, layer: Any, variable: Variable) -> None:
        vars(layer)[f"_{self.name}"] = variable


class LowRank(Layer):
    """Base of the layers that can be adapted by a product of low rank r.

        W + (α/r) A B,  W frozen, A of shape (…, r) and B of shape (r, outputs) trainable

    Its attribute with the weight is an `Adaptable`. Files hold the sum in the place of W, as
    Keras's do, so that they fit layers without A and B, and A and B beside it, for talweg only:
    where they are missing, the product is zero after reading.

    Args:
        lora_rank: r, of an adaptation from the start; None is none.
        lora_alpha: α; r by default, so that the factor is 1.

    Raises:
        ValueError: the rank is no positive integer; the weight has a constraint.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685.
    """

    # The attribute's name.
    _adapts: ClassVar[str]

    def __init__(self, *args: Any, lora_rank: Any = None, lora_alpha: Any = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        owner = type(self).__name__
        # 0 is none, as in Keras.
        rank = integer(owner, "lora_rank", lora_rank or 0, minimum=0) or None
        self.lora_rank = rank
        self.lora_alpha = rank if lora_alpha is None else number(owner, "lora_alpha", lora_alpha)
        self.lora_enabled = False

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the layer's weight and train a product of low rank beside it.

        A model that has trained must be compiled again.

        Args:
            rank: r, the inner size of the product.
            lora_alpha: α; what the layer was made with, or r.
            a_initializer: of A; He uniform.
            b_initializer: of B; zeros, so that nothing changes before the first step.

        Raises:
            ValueError: the layer is not built, is adapted already, or its weight has a
                constraint; `rank` is no positive integer.

        >>> from talweg.layers import Dense
        >>> layer = Dense(8)
        >>> layer.build((None, 16))
        >>> layer.enable_lora(2)
        >>> [variable.name for variable in layer.trainable_weights]
        ['bias', 'lora_kernel_a', 'lora_kernel_b']
        """
        owner, name = f"Layer {self.name!r}", self._adapts
        rank = integer(owner, "the rank of LoRA", rank)
        alpha = self.lora_alpha if lora_alpha is None else number(owner, "lora_alpha", lora_alpha)
        weight = self._weight
        if weight is None:
            raise ValueError(f"{owner}: cannot enable LoRA before it is built. Build or call it.")
        if self.lora_enabled:
            raise ValueError(
                f"{owner}: LoRA is already enabled, with rank {self.lora_rank}; it is once per "
                "layer. Make the layer again, by from_config, for another rank."
            )
        if weight.constraint is not None:
            raise ValueError(
                f"{owner}: LoRA is incompatible with a constraint: the sum that is used would not "
                f"obey it. Remove {name}_constraint."
            )
        if not self.trainable and not self._building:
            warnings.warn(
                f"{owner} is frozen, so LoRA's product will not learn. Leave the layer trainable: "
                "enable_lora freezes its weight.",
                stacklevel=2,
            )
        for letter, shape, initializer in (
            ("a", (*weight.shape[:-1], rank), a_initializer),
            ("b", (rank, weight.shape[-1]), b_initializer),
        ):
            factor = self.add_weight(
                name=f"lora_{name}_{letter}",
                shape=shape,
                initializer=initializer,
                dtype="float32",  # the changes are too small for half precision
                regularizer=weight.regularizer,
            )
            # Beside the weight, also when the layers around it are built.
            factor.path = weight.path.removesuffix(weight.name) + factor.name
            setattr(self, factor.name, factor)
        weight.trainable = False
        self.lora_rank = rank
        self.lora_alpha = rank if alpha is None else alpha
        self.lora_enabled = True

    def _enable_lora_if_asked(self) -> None:
        """For the end of `build`."""
        if self.lora_rank:
            self.enable_lora(self.lora_rank)

    @property
    def _weight(self) -> Any:
        """The variable of W; None before it is made."""
        return vars(self).get(f"_{self._adapts}")

    @property
    def _factors(self) -> tuple[Variable, ...]:
        """A and B; nothing without LoRA."""
        if not self.lora_enabled:
            return ()
        name = self._adapts
        return getattr(self, f"lora_{name}_a"), getattr(self, f"lora_{name}_b")

    def _product(self, apply: Callable[[Any], Any] = lambda a: a) -> Any:
        """(α/r) apply(A) B."""
        a, b = (factor.value for factor in self._factors)
        return (self.lora_alpha / self.lora_rank) * jnp.matmul(apply(a), b)

    def _merged(self, dtype: Any = None) -> Any:
        """The array of the weight, with the product in it; then in the compute type, or `dtype`."""
        value = self._weight.value
        if not self.lora_enabled:
            return value
        return (value + self._product()).astype(dtype or self.compute_dtype)

    def _through(self, apply: Callable[[Any], Any]) -> Any:
        """`apply(W + (α/r) A B)` as `apply(W) + (α/r) apply(A) B`.

        For an `apply` that is linear and leaves the weight's last axis the last. The sum is never
        made, nor is its gradient, which is as large.
        """
        outputs = apply(self._weight.value)
        if not self.lora_enabled:
            return outputs
        return outputs + self._product(apply).astype(outputs.dtype)

    # -- files and config --------------------------------------------------------------

    def _saved_weights(self) -> list[Variable]:
        apart = set(map(id, self._factors))
        return [variable for variable in super()._saved_weights() if id(variable) not in apart]

    def _saved_apart(self) -> Sequence[Variable]:
        return self._factors

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if self.lora_enabled:
            place = list(map(id, self._saved_weights())).index(id(self._weight))
            store[str(place)] = self._merged(self._weight.dtype)

    def _loaded(self, variables: Sequence[Variable]) -> None:
        """The weight has the sum now: take the product out of it, or let it be zero."""
        loaded = set(map(id, variables))
        if not self.lora_enabled or id(self._weight) not in loaded:
            return
        a, b = self._factors
        if {id(a), id(b)} <= loaded:
            self._weight.assign(self._weight.value - self._product())
        elif np.any(a.numpy()):  # A stays: of two zeros neither would get a gradient
            b.assign(np.zeros(b.shape, "float32"))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.lora_rank:
            config |= {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha}
        return config
