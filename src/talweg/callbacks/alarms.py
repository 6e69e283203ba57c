"""Alarms: what goes wrong in a training, noticed while it runs, in a sentence each.

Judged now and then at one batch, by its loss L, gradient g and curvature H:

    spike      L > median + max(20 sigma, |median| / 2)      sigma = 1.4826 MAD
    exploded   |g| > 100 median(|g|), or > 1e5
    vanished   |g| < median(|g|) / 1e4 while L has not fallen by half,
               or g of less than 1e-8 per weight (root mean square); 4 times running
    dead       half of the units of a layer had a gradient of exactly 0, 8 times running
    rate       rate g.Hg / |g|^2, beside the edge of stability, 2: median of 8 above
               twice the edge or below a hundredth of it

Medians are those of the last 64 probes, once there are 16. The product of rate and
sharpness hovers at 2 in training by gradient descent (Cohen et al., ICLR 2021,
arXiv:2103.00065), and for mini-batches that of the sharpness along the batch's own gradient
does (Andreyev & Beneventano, 2024, arXiv:2412.20553), which is what is measured here.
Units that are dead: Lu et al., Dying ReLU and Initialization, 2019, arXiv:1903.06733.
"""

import math
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.callbacks import console
from talweg.callbacks.base import Callback, Logs
from talweg.callbacks.units import units_that_cut
from talweg.core import errors
from talweg.core.events import Alarm, Event

KINDS = ("spike", "exploded", "vanished", "dead", "rate")

REMEMBERED, NEEDED = 64, 16
SPIKE_SIGMAS, SPIKE_RISE = 20.0, 0.5
EXPLODED_TIMES, EXPLODED_ABOVE = 100.0, 1e5
VANISHED_TIMES, VANISHED_BELOW, VANISHED_PROBES = 1e4, 1e-8, 4
DEAD_SHARE, DEAD_PROBES = 0.5, 8
RATE_HIGH, RATE_LOW, RATE_PROBES = 2.0, 0.01, 8
# Probes without the condition after which the same alarm may be told again.
CALM = 5


class Alarms(Callback):
    """Tells what goes wrong in a training, while it runs.

    Watches for a jump of the loss, gradients that explode or vanish, dead units, and a rate
    far from the edge of stability. Each alarm is an `Alarm` event, told once until what it
    says has gone away, printed as a line, and kept. The gradients are looked at now and then
    after a block, by a program of its own that takes a two-hundredth of the time, from the
    second second on; with what else it takes, measured, 1 to 2 percent.

    The rate is judged for optimizers that step along the gradient and say where their edge
    is (`SGD`, with or without momentum, not clipped), since for those that scale every
    coordinate the sharpness along the gradient says nothing; that it is too low, only where
    it is constant and was not lowered. Dead units are looked for in layers with a kernel
    whose activation is exactly flat somewhere (relu and its like), in the tensors without a
    regularizer. With a `train_step` of your own only the loss of the epochs is watched.

    Args:
        watch: kinds of alarms: "spike", "exploded", "vanished", "dead", "rate". All.
        verbose: 0 prints nothing.
        probe_share: how much of the time looking may take; 0.005. Infinite to look after
            every block.

    Attributes:
        alarms: the `Alarm` events of the run, also those that others tell: "divergence"
            of the engine, "rollback" of `RollBackOnDivergence`.

    Raises:
        ValueError: an unknown kind, or a share that is not above 0.

    >>> Alarms(watch=("spike", "dead")).watch
    ('spike', 'dead')
    """

    needs_objective = True

    def __init__(
        self, watch: Sequence[str] = KINDS, verbose: int = 1, probe_share: float = 0.005
    ) -> None:
        super().__init__()
        for kind in watch:
            if kind not in KINDS:
                raise errors.unknown("kind of alarm", kind, KINDS)
        if not probe_share > 0:
            raise errors.invalid("Alarms", "probe_share", "above 0", probe_share)
        self.watch = tuple(watch)
        self.verbose = verbose
        self.probe_share = probe_share
        self._reset()

    def _reset(self) -> None:
        self.alarms: list[Alarm] = []
        self._losses: deque[float] = deque(maxlen=REMEMBERED)
        self._norms: deque[float] = deque(maxlen=REMEMBERED)
        self._products: deque[float] = deque(maxlen=RATE_PROBES)
        self._highest_rate = 0.0
        self._faint = 0  # probes running whose gradient was next to nothing
        self._dead_for: dict[str, Any] = {}  # probes running, for each unit of a layer
        self._probed = False
        # Kinds that were told and have not gone away: probes since they were seen last.
        self._told: dict[str, int] = {}

    # -- inside the step -------------------------------------------------------------

    def inside(self, grads: Any, params: Any, objective: Any) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        squares = sum(jnp.vdot(g, g) for g in grads)
        norm = jnp.sqrt(squares)
        size = sum(g.size for g in grads)
        values: dict[str, Any] = {"gradient_norm": norm, "gradient_rms": norm / math.sqrt(size)}
        if "rate" in self.watch and self._edge() is not None:
            length = jnp.where(norm > 0, norm, 1.0)
            along = [(g / length).astype(p.dtype) for g, p in zip(grads, params, strict=True)]
            curved = jax.jvp(lambda p: objective(p)[1], (params,), (along,))[1]
            pairs = zip(along, curved, strict=True)
            values["sharpness"] = sum(jnp.vdot(v.astype(c.dtype), c) for v, c in pairs)
        if "dead" in self.watch:
            for units in units_that_cut(self.model):
                values[f"dead/{units.layer}"] = units.silent(grads)
        return values

    def _edge(self) -> float | None:
        """The largest stable rate times sharpness; None where there is none to compare with."""
        optimizer = getattr(self.model, "optimizer", None)
        if getattr(optimizer, "handles_overflow", False):  # loss scaling changes no step
            optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if not isinstance(getattr(type(optimizer), "edge", None), property):
            return None
        clips = ("clipnorm", "clipvalue", "global_clipnorm")
        clipped = any(getattr(optimizer, name) is not None for name in clips)
        return None if clipped else optimizer.edge

    # -- hooks -----------------------------------------------------------------------

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_event(self, event: Event) -> None:
        if not isinstance(event, Alarm):
            return
        self.alarms.append(event)
        # Whoever goes back says so himself.
        if self.verbose > 0 and event.kind != "rollback":
            console.say(f"Step {event.step}: {event.message}")

    def on_probe(self, step: int, values: dict[str, Any]) -> None:
        if not self._probed:
            self._probed = True
            self._losses.clear()
        loss, norm = values["loss"], values["gradient_norm"]
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return  # an overflow of float16, or the step that the engine will stop at
        self._judge(step, "spike", self._spike(loss))
        self._judge(step, "exploded", self._exploded(norm))
        self._judge(step, "vanished", self._vanished(loss, norm, values["gradient_rms"]))
        self._losses.append(loss)
        self._norms.append(norm)
        if "sharpness" in values:
            self._judge(step, "rate", self._rate(values["sharpness"]))
        if norm > 0:  # else it is not for a layer's units that nothing comes
            self._judge(step, "dead", self._dead(values))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss", math.nan)
        if self._probed or self.model is None or not math.isfinite(loss):
            return
        message = self._spike(loss)
        step = 0 if message is None else int(getattr(self.model.optimizer, "iterations", 0))
        self._judge(step, "spike", message)
        self._losses.append(loss)  # of epochs: forgotten when batches are looked at

    def _judge(self, step: int, kind: str, message: str | None) -> None:
        """Tell what is new; forget what has not been seen for some probes."""
        if kind not in self.watch:
            return
        if message is not None:
            new = kind not in self._told
            self._told[kind] = 0
            if new:
                self.tell(Alarm(step=step, kind=kind, message=message))
        elif kind in self._told:
            self._told[kind] += 1
            if self._told[kind] >= CALM:
                del self._told[kind]

    # -- what is wrong ---------------------------------------------------------------

    def _spike(self, loss: float) -> str | None:
        if len(self._losses) < NEEDED:
            return None
        usual = median(self._losses)
        sigma = 1.4826 * median(abs(loss - usual) for loss in self._losses)
        rise = max(SPIKE_SIGMAS * sigma, SPIKE_RISE * abs(usual), 1e-3 * self._scale())
        if loss <= usual + rise:
            return None
        return (
            f"The loss jumped to {loss:.3g}, where about {usual:.3g} was usual: a batch that is "
            "wrong, or a rate that is too high. Look at the data, clip the gradients "
            "(clipnorm=1.0), or lower the rate."
        )

    def _scale(self) -> float:
        """The largest loss remembered: what a rise must be compared with to matter."""
        return max(map(abs, self._losses))

    def _exploded(self, norm: float) -> str | None:
        usual = median(self._norms) if len(self._norms) >= NEEDED else None
        jumped = usual is not None and norm > EXPLODED_TIMES * usual and norm > 1.0
        if not jumped and norm <= EXPLODED_ABOVE:
            return None
        beside = f", {norm / usual:.0f} times the usual {usual:.3g}" if jumped and usual else ""
        return (
            f"The gradient exploded: its norm is {norm:.3g}{beside}. Clip the gradients "
            "(clipnorm=1.0), bring inputs and targets to a scale of about 1, or lower the rate."
        )

    def _vanished(self, loss: float, norm: float, rms: float) -> str | None:
        known = len(self._norms) >= NEEDED
        usual = median(self._norms) if known else 0.0
        fell = known and norm < usual / VANISHED_TIMES and loss > median(self._losses) / 2
        self._faint = self._faint + 1 if fell or rms < VANISHED_BELOW else 0
        if self._faint < VANISHED_PROBES:
            return None
        beside = f", where {usual:.3g} was usual" if fell else f", {rms:.1g} per weight"
        return (
            f"The gradient vanished: its norm is {norm:.3g}{beside}, at a loss of {loss:.3g}. "
            "Either the training is done, or units are saturated or dead: look at their "
            "outputs, normalize the inputs, and use relu with He initialization."
        )

    def _dead(self, values: dict[str, Any]) -> str | None:
        """The last layer in which it is so: those before it may have it from there."""
        found = None
        for name, silent in values.items():
            if not name.startswith("dead/"):
                continue
            before = self._dead_for.get(name, 0)
            self._dead_for[name] = np.where(silent, before + 1, 0)
            dead = int(np.sum(self._dead_for[name] >= DEAD_PROBES))
            if dead >= DEAD_SHARE * len(silent):
                found = (name.removeprefix("dead/"), dead, len(silent))
        if found is None:
            return None
        layer, dead, units = found
        return (
            f"{dead} of {units} units of layer {layer!r} are dead: for {DEAD_PROBES} batches "
            "their gradient was exactly 0, so they do not learn. Lower the rate, begin with "
            "biases of 0 and He initialization, or use leaky_relu or gelu."
        )

    def _rate(self, sharpness: float) -> str | None:
        edge = self._edge()
        if edge is None or not math.isfinite(sharpness):
            return None
        optimizer = self.model.optimizer
        rate = float(optimizer.rate)
        self._highest_rate = max(self._highest_rate, rate)
        self._products.append(rate * sharpness)
        if len(self._products) < RATE_PROBES:
            return None
        product = median(self._products)
        what = (
            f"rate x sharpness is {product:.2g} (a rate of {rate:.2g}), where the edge of "
            f"stability is {edge:.3g}"
        )
        if product > RATE_HIGH * edge:
            return (
                f"The rate is far above what the loss allows: {what}, so that steps overshoot. "
                f"Lower it to about {rate * edge / product:.1g}."
            )
        lowered = optimizer.schedule is not None or rate < 0.5 * self._highest_rate
        if 0 < product < RATE_LOW * edge and not lowered:
            return (
                f"The rate is far below what the loss allows: {what}. "
                f"Try {10 * rate:.1g}, or let talweg.find_learning_rate choose."
            )
        return None
