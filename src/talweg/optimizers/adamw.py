"""AdamW: Adam with weight decay beside the gradient's moments, on by default.

    p <- p - rate wd p
    then a step of Adam (adam.py)

In Adam, an L2 penalty in the loss is divided by the root of v with the rest of the gradient;
decay that is applied to the weights themselves pulls on all of them alike.

Loshchilov & Hutter, ICLR 2019, arXiv:1711.05101.
"""

from typing import Any

from talweg.core.hyperparameters import hyper
from talweg.optimizers.adam import Adam


class AdamW(Adam):
    """Adam with decoupled weight decay.

    Args:
        learning_rate: a number, `Variable`, schedule or callable; 0.001.
        weight_decay: the share of a weight that goes at each step, in units of the rate;
            0.004. A number always: without decay it is `Adam`.
        beta_1: how slowly the mean of the gradient forgets.
        beta_2: how slowly the mean square forgets.
        epsilon: added to the root.
        amsgrad: divide by the largest mean square so far.

    When to use it: the first choice for transformers, and wherever Adam would overfit.

    >>> AdamW(3e-4, 0.1).weight_decay
    0.1

    Source: Loshchilov & Hutter, ICLR 2019, arXiv:1711.05101; keras.optimizers.AdamW.
    """

    learning_rate: Any = hyper(
        default=0.001, interval="[0, 1e10]", search=(1e-5, 1e-1), hint="Usual: 1e-4 to 1e-2."
    )
    weight_decay: float | None = hyper(
        default=0.004, interval="[0, inf)", hint="Without decay, use Adam."
    )
