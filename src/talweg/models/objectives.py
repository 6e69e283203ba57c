"""What `compile` was given, resolved against the model's outputs: losses and metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from talweg import losses, metrics
from talweg.core import errors
from talweg.data.host import rows_of
from talweg.metrics import Mean, Metric
from talweg.models.structures import along, is_nested


def spread(given: Any, outputs: Sequence[str], what: str, each: bool = False) -> list[Any]:
    """One item per output, from one for all, a list, or a dict by output name.

    Args:
        given: what the user passed.
        outputs: the names of the outputs.
        what: the argument's name, for messages.
        each: whether a list that is not as long as the outputs belongs to all of them.
    """
    if given is None:
        return [None] * len(outputs)
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in outputs]
        if unknown and len(outputs) == 1 and len(given) == 1:
            return list(given.values())
        if unknown:
            raise errors.unknown(f"output in {what}", unknown[0], outputs)
        return [given.get(name) for name in outputs]
    if isinstance(given, (list, tuple)):
        if len(outputs) == 1:
            return [list(given)] if each else list(given)[:1]
        if len(given) == len(outputs):
            return list(given)
        if not each:
            raise errors.invalid("compile", what, f"one for each of {len(outputs)} outputs", given)
    return [given] * len(outputs)


def _identifier_name(identifier: Any, resolved: Any) -> str:
    if isinstance(identifier, str):
        return identifier
    return getattr(resolved, "name", None) or getattr(resolved, "__name__", "metric")


def _resolve_loss(identifier: Any, y: Any, prediction: Any) -> Any:
    if identifier is None:
        return None
    if str(identifier).lower() in ("crossentropy", "ce"):
        kind = metrics.crossentropy_for(y.shape, prediction.shape).__name__
        found = losses.get(kind)
    else:
        found = losses.get(identifier)
    if isinstance(found, losses.Loss):
        return found
    name = _identifier_name(identifier, found)
    return losses.LossFunctionWrapper(found, name=name)


def _resolve_metric(identifier: Any, y: Any, prediction: Any) -> Metric:
    if str(identifier).lower() in ("accuracy", "acc"):
        found = metrics.accuracy_for(y.shape, prediction.shape)(name=str(identifier))
    elif str(identifier).lower() in ("crossentropy", "ce"):
        found = metrics.crossentropy_for(y.shape, prediction.shape)(name=str(identifier))
    else:
        found = metrics.get(identifier)
    name = _identifier_name(identifier, found)
    if not isinstance(found, Metric):
        found = metrics.MeanMetricWrapper(found, name=name)
    found.name = name
    return found


class Entry(NamedTuple):
    """A metric, the output it looks at, and its key in the logs."""

    metric: Metric
    output: int
    weighted: bool
    key: str


class Objectives:
    """Losses and metrics of a compiled model.

    Built on the first batch, when the shapes of targets and outputs are known.

    Args:
        loss: name, function, object, or a list or dict of them; None where the model adds
            its own.
        loss_weights: a number per output.
        metrics: names, functions, objects; per output as a list of lists or a dict.
        weighted_metrics: the same, to be weighted by the sample weights.
    """

    def __init__(self, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any):
        self.config = {
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        self.built = False
        self.losses: list[Any] = []
        self.entries: list[Entry] = []
        self.loss_tracker = Mean(name="loss")
        # The mean loss of each output, by its position, where there are several.
        self.output_trackers: dict[int, Mean] = {}
        self._with_loss: list[int] = []
        # Metrics that the model's own `metrics` leaves out: nobody keeps their state.
        self._left_out: set[int] = set()
        self.weights: list[float | None] = []
        self.outputs: list[str] = []

    def build(self, y: Any, prediction: Any, outputs: Sequence[str], named: bool = True) -> None:
        """Resolve names against shapes.

        Args:
            y: a batch of targets, or their specs; None where there are none.
            prediction: the specs of the outputs.
            outputs: the outputs' names, one for each leaf.
            named: whether the model gave them; else logs name losses and metrics only.

        Raises:
            ValueError: targets that do not pair up with the outputs that have a loss.
        """
        predictions = jax.tree.leaves(prediction)
        self.outputs = list(outputs)

        def per_output(what: str, each: bool = False) -> list[Any]:
            if is_nested(prediction):
                return along(self.config[what], prediction, what)
            return spread(self.config[what], self.outputs, what, each)

        weights = per_output("loss_weights")
        given = [  # one in a list, as metrics are written
            item[0] if isinstance(item, list) and len(item) == 1 else item
            for item in per_output("loss")
        ]
        self._with_loss = [i for i, item in enumerate(given) if item is not None]
        targets = self.targets(y)
        lacking = [self.outputs[i] for i in self._with_loss if targets[i] is None]
        if lacking and y is None:
            raise ValueError(
                "The model was compiled with a loss, but no y came. Pass y, or batches (x, y)."
            )
        if lacking:
            raise ValueError(f"y lacks targets for output {lacking[0]!r}, which has a loss.")
        pairs = list(zip(targets, predictions, strict=True))
        self.losses = [_resolve_loss(item, *pair) for item, pair in zip(given, pairs, strict=True)]
        self.weights = [None if weight is None else float(weight) for weight in weights]
        self.output_trackers = {}
        if len(self._with_loss) > 1:
            for i in self._with_loss:
                name = self.outputs[i] if named else self.losses[i].name
                taken = [tracker.name for tracker in self.output_trackers.values()]
                self.output_trackers[i] = Mean(name=_free(f"{name}_loss", taken))
        self.entries = []
        for argument in ("metrics", "weighted_metrics"):
            listed = per_output(argument, each=True)
            for output, (items, pair) in enumerate(zip(listed, pairs, strict=True)):
                for item in _as_list(items):
                    if pair[0] is None:
                        name = self.outputs[output]
                        raise ValueError(f"y lacks targets for output {name!r}, which has metrics.")
                    metric = _resolve_metric(item, *pair)
                    metric.build(*(leaf.shape for leaf in pair))
                    prefix = f"{self.outputs[output]}_" if named and len(pairs) > 1 else ""
                    weighted = argument == "weighted_metrics"
                    taken = [entry.key for entry in self.entries]
                    key = prefix + metric.name
                    if key in taken and weighted:
                        key = f"{prefix}weighted_{metric.name}"
                    self.entries.append(Entry(metric, output, weighted, _free(key, taken)))
        self.built = True

    def targets(self, y: Any) -> list[Any]:
        """The targets in the order of the outputs; None where there is none.

        Raises:
            ValueError: another number of targets than outputs, or than losses.
        """
        count = len(self.outputs)
        wanted = any(self.config[key] for key in ("loss", "metrics", "weighted_metrics"))
        if y is None or not wanted:
            return [None] * count
        if isinstance(y, Mapping) and set(y) <= set(self.outputs):
            return [y.get(name) for name in self.outputs]
        leaves = jax.tree.leaves(y, is_leaf=lambda part: part is None)
        if len(leaves) == count:
            return leaves
        leaves = jax.tree.leaves(y)
        if len(leaves) != len(self._with_loss):
            raise ValueError(f"The model has {count} outputs, but y has {len(leaves)} targets.")
        placed: list[Any] = [None] * count
        for i, leaf in zip(self._with_loss, leaves, strict=True):
            placed[i] = leaf
        return placed

    def metrics(self) -> list[Metric]:
        """All metrics: the loss's mean first, then in the order of `compile`."""
        trackers = self.output_trackers.values()
        return [self.loss_tracker, *trackers, *(entry.metric for entry in self.entries)]

    def keep(self, listed: Sequence[Metric]) -> None:
        """From now on count only for those among `listed`."""
        kept = {id(metric) for metric in listed}
        self._left_out = {id(metric) for metric in self.metrics()} - kept

    def count_loss(self, loss: Any, rows: int) -> None:
        """Add a batch to the mean of the loss."""
        if id(self.loss_tracker) not in self._left_out:
            self.loss_tracker.update_state(loss, sample_weight=rows)

    def total(self, y: Any, prediction: Any, weight: Any) -> Any:
        """The weighted sum of the outputs' losses; also counted one by one where several."""
        predictions = jax.tree.leaves(prediction)
        targets = self.targets(y) if self._with_loss else []
        weights = self._weights_of(weight)
        terms: list[Any] = []
        for i, loss in enumerate(self.losses):
            if loss is None:
                continue
            target = _like(targets[i], predictions[i])
            term = loss(target, predictions[i], sample_weight=weights[i])
            terms.append(term if self.weights[i] is None else term * self.weights[i])
            if i in self.output_trackers and id(self.output_trackers[i]) not in self._left_out:
                self.output_trackers[i].update_state(term, sample_weight=rows_of(prediction))
        return sum(terms[1:], terms[0]) if terms else jnp.float32(0)

    def observe(self, y: Any, prediction: Any, weight: Any) -> None:
        """Add a batch to the metrics; runs inside the step."""
        if not self.entries:
            return
        predictions, targets = jax.tree.leaves(prediction), self.targets(y)
        weights = self._weights_of(weight)
        for entry in self.entries:
            if id(entry.metric) in self._left_out:
                continue
            prediction = predictions[entry.output]
            own = weights[entry.output] if entry.weighted else None
            target = _like(targets[entry.output], prediction)
            entry.metric.update_state(target, prediction, sample_weight=own)

    def names(self) -> list[str]:
        """The keys of the logs in the order of `evaluate`, which is Keras's.

        The loss, the metrics that bear their own name in the order of `compile`, the
        losses of the outputs, then the rest by name.
        """
        own = [entry.key for entry in self.entries if entry.key == entry.metric.name]
        rest = [entry.key for entry in self.entries if entry.key != entry.metric.name]
        trackers = list(self.output_trackers)
        if isinstance(self.config["loss"], Mapping):
            asked = list(self.config["loss"])
            trackers.sort(key=lambda i: asked.index(self.outputs[i].partition("/")[0]))
        listed = [self.output_trackers[i].name for i in trackers]
        return [self.loss_tracker.name, *own, *listed, *sorted(rest)]

    def report(self) -> dict[str, Any]:
        """The logs: loss first, then metrics in the order of `compile`."""
        trackers = [self.loss_tracker, *self.output_trackers.values()]
        logs = {t.name: t.result() for t in trackers if id(t) not in self._left_out}
        for entry in self.entries:
            if id(entry.metric) in self._left_out:
                continue
            result = entry.metric.result()
            if isinstance(result, Mapping):
                logs.update(result)
            else:
                logs[entry.key] = result
        return logs

    def _weights_of(self, weight: Any) -> list[Any]:
        count = max(len(self.outputs), 1)
        if weight is None or not isinstance(weight, (list, tuple, Mapping)):
            return [weight] * count
        return spread(weight, self.outputs, "sample_weight")

    def checks(self) -> list[Callable[[np.ndarray, Any], None] | None]:
        """For each output, what refuses targets that its loss cannot mean."""
        return [None if loss is None else losses.checker(loss) for loss in self.losses]


def _free(key: str, taken: Sequence[str]) -> str:
    """`key`, numbered where it is taken."""
    count, free = 1, key
    while free in taken:
        free, count = f"{key}_{count}", count + 1
    return free


def _as_list(items: Any) -> list[Any]:
    if items is None:
        return []
    return list(items) if isinstance(items, (list, tuple)) else [items]


def _like(target: Any, prediction: Any) -> Any:
    """A target (n,) beside a prediction (n, 1) as a column, for functions that users write.

    Keras hands it on as it is; `y_true - y_pred` then is a matrix (n, n).
    """
    column = target is not None and target.ndim + 1 == prediction.ndim
    return target[..., None] if column and prediction.shape[-1] == 1 else target
