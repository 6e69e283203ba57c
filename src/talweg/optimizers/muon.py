"""Muon: momentum with all of its singular values brought near 1, by products of matrices.

    m <- mu m + g
    d  = g + mu m                          Nesterov; else d = m
    X  = d / (|d| + 1e-7)                  Frobenius; transposed while it is tall
    X <- a X + (b A + c A²) X, A = X Xᵀ    five times: Newton-Schulz
    p <- p - rate 0.2 sqrt(max(rows, columns)) X

and a step of Adam, with epsilon outside the root, for all that is no hidden matrix.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the factor 0.2 sqrt(max) is that
of Liu et al., arXiv:2502.16982: a step as long as one of AdamW, at AdamW's rate and decay.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer
from talweg.optimizers.matrices import by_shape


class Slots(NamedTuple):
    momentum: Any
    velocity: Any  # None where Muon steps


def newton_schulz(x: jax.Array, coefficients: Sequence[Any], steps: int) -> jax.Array:
    """Matrices with the singular vectors of `x` and singular values near 1, 0.7 to 1.2.

    Args:
        x: any number of wide or square matrices, over leading axes.
        coefficients: a, b, c of `a X + b (X Xᵀ) X + c (X Xᵀ)² X`.
        steps: how many times.
    """
    a, b, c = coefficients
    x = x / (jnp.sqrt(jnp.sum(jnp.square(x), axis=(-2, -1), keepdims=True)) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x


def adam(g: jax.Array, p: jax.Array, s: Slots, h: Any, t: jax.Array) -> tuple[jax.Array, Slots]:
    """The update of a tensor that is no hidden matrix."""
    m = s.momentum + (g - s.momentum) * (1 - h.adam_beta_1)
    v = s.velocity + (jnp.square(g) - s.velocity) * (1 - h.adam_beta_2)
    rate = h.learning_rate * h.adam_lr_ratio
    rate = rate * jnp.sqrt(1 - h.adam_beta_2**t) / (1 - h.adam_beta_1**t)
    return -m * rate / (jnp.sqrt(v) + h.epsilon), Slots(m, v)


class Muon(Optimizer):
    """Momentum orthogonalized by Newton-Schulz, for hidden matrices; AdamW for the rest.

    AdamW takes scalars, vectors, tensors of more than two axes (kernels of convolutions),
    tensors with "embedding" in their path, and those that `exclude_layers` names; the last
    layer should be among them: `exclude_layers=["logits"]`.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        adam_beta_1: how slowly Adam's mean of the gradient forgets.
        adam_beta_2: how slowly Adam's mean square forgets.
        adam_weight_decay: the decoupled decay of what AdamW steps; None for none.
        epsilon: added to Adam's root.
        weight_decay: the decoupled decay of what Muon steps; None for none.
        exclude_layers: regular expressions; AdamW steps what has a match in its path.
        exclude_embeddings: AdamW steps what has "embedding" in its path.
        muon_a: coefficient of X in the iteration.
        muon_b: coefficient of X Xᵀ X.
        muon_c: coefficient of (X Xᵀ)² X.
        adam_lr_ratio: AdamW's share of the rate.
        momentum: how much of Muon's momentum is kept.
        ns_steps: how many iterations.
        nesterov: look ahead along the momentum.
        rms_rate: the step is `rms_rate * sqrt(max(rows, columns))` long; None: 1.

    When to use it: hidden matrices of transformers and dense networks, batches that are not
    small; it needs fewer steps than AdamW, at a few products of matrices a step.

    The settings of Jordan's `MuonWithAuxAdam` (rate 0.02, AdamW 3e-4) are `Muon(0.02,
    adam_beta_2=0.95, epsilon=1e-10, weight_decay=None, adam_weight_decay=None,
    adam_lr_ratio=0.015, rms_rate=None)`, with the rate of a kernel of more outputs than inputs
    times `sqrt(outputs / inputs)`. Keras, and so this class, lacks that factor, and gives
    kernels of convolutions to AdamW, where Jordan flattens them to (inputs, outputs). Jordan's
    momentum is an average; the direction is the same. Keras's momentum is a sum, (1 - mu)⁻¹ as
    long, and the iteration is blind to its length; 1e-7 is added to the norm in both.

    >>> Muon(2e-3).momentum
    0.95

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; Liu et al.,
    arXiv:2502.16982; keras.optimizers.Muon.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-4, 1e-1), hint="Usual: 3e-4 to 2e-2."
    )
    adam_beta_1: float = hyper(
        default=0.9,
        interval="[0, 1)",
        hint="At 1.0 the first moment never moves; 0.9 is the usual choice.",
    )
    adam_beta_2: float = hyper(
        default=0.999,
        interval="[0, 1)",
        hint="At 1.0 the second moment never moves; 0.999 is the usual choice.",
    )
    adam_weight_decay: float | None = hyper(default=0.004, interval="[0, inf)", optional=True)
    epsilon: float = hyper(default=1e-7, interval="[0, inf)")
    weight_decay: float | None = hyper(default=0.004, interval="[0, inf)", optional=True)
    clipnorm: float | None = hyper(default=None, interval="(0, inf)")
    clipvalue: float | None = hyper(default=None, interval="(0, inf)")
    global_clipnorm: float | None = hyper(default=None, interval="(0, inf)")
    use_ema: bool = static(default=False)
    ema_momentum: float = hyper(default=0.99, interval="[0, 1]")
    ema_overwrite_frequency: int | None = static(default=None, interval="[1, inf)")
    loss_scale_factor: float | None = hyper(default=None, interval="(0, inf)")
    gradient_accumulation_steps: int | None = static(default=None, interval="[2, inf)")
    name: str | None = static(default=None)
    exclude_layers: Sequence[str] | None = static(default=None)
    exclude_embeddings: bool = static(default=True)
    muon_a: float = hyper(default=3.4445, interval="(-inf, inf)")
    muon_b: float = hyper(default=-4.775, interval="(-inf, inf)")
    muon_c: float = hyper(default=2.0315, interval="(-inf, inf)")
    adam_lr_ratio: float = hyper(default=1, interval="[0, inf)")
    momentum: float = hyper(
        default=0.95, interval="[0, 1)", hint="At 1.0 nothing is forgotten; 0.95 is usual."
    )
    ns_steps: int = static(default=5, interval="[1, inf)")
    nesterov: bool = static(default=True)
    rms_rate: float | None = hyper(default=0.2, interval="[0, inf)", optional=True)

    rule = staticmethod(adam)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer, as Keras writes them."""
        return {**super().get_config(), "exclude_layers": list(self.exclude_layers or [])}

    def steps_by_adam(self, p: Any, name: str) -> bool:
        """Whether AdamW steps a tensor, by its shape and path."""
        if p.ndim != 2 or (self.exclude_embeddings and "embedding" in name.lower()):
            return True
        return any(re.search(pattern, name) for pattern in self.exclude_layers or [])

    def init_slots(self, p: jax.Array, h: Any) -> Slots:
        zeros = jnp.zeros_like(p)
        return Slots(zeros, zeros if self.steps_by_adam(p, h.name) else None)

    def decay_of(self, p: jax.Array, name: str, values: dict[str, Any]) -> Any:
        return values.get("adam_weight_decay" if self.steps_by_adam(p, name) else "weight_decay")

    def rules(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        own: Sequence[Any], t: Any,
    ) -> list[tuple[Any, Any]]:  # fmt: skip
        """Adam's rule, and Muon's for the matrices, those of one shape together."""
        mine = [i for i, s in enumerate(slots) if s.velocity is None]
        steps: list[Any] = [
            None if s.velocity is None else self.rule(g, p, s, h, t.astype(p.dtype))
            for g, p, s, h in zip(grads, params, slots, own, strict=True)
        ]
        moments = {i: own[i].momentum * slots[i].momentum + grads[i] for i in mine}
        directions: list[Any] = []
        for i, m in moments.items():
            d = grads[i] + own[i].momentum * m if self.nesterov else m
            directions.append(d.T if d.shape[0] > d.shape[1] else d)

        def iterated(x: jax.Array) -> jax.Array:
            h = own[mine[0]]
            coefficients = [c.astype(x.dtype) for c in (h.muon_a, h.muon_b, h.muon_c)]
            return newton_schulz(x, coefficients, self.ns_steps)

        for i, x in zip(mine, by_shape(iterated, directions), strict=True):
            rows, columns = params[i].shape
            length = own[i].learning_rate
            if self.rms_rate is not None:
                length = length * own[i].rms_rate * math.sqrt(max(rows, columns))
            steps[i] = -length * (x.T if rows > columns else x), Slots(moments[i], None)
        return steps
