"""What `compile` was given, resolved against the model's outputs: losses and metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from talweg import metrics
from talweg.metrics import Mean, Metric
from talweg.models.placed_losses import PlacedLosses
from talweg.models.structures import (
    along,
    as_column,
    free,
    is_nested,
    path_names,
    spread,
    spread_weights,
    targets_of,
)


def _identifier_name(identifier: Any, resolved: Any) -> str:
    if isinstance(identifier, str):
        return identifier
    return getattr(resolved, "name", None) or getattr(resolved, "__name__", "metric")


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
        self.placed = PlacedLosses(loss, loss_weights)
        self.entries: list[Entry] = []
        self.loss_tracker = Mean(name="loss")
        # Metrics that the model's own `metrics` leaves out: nobody keeps their state.
        self._left_out: set[int] = set()
        self._specs: tuple[Any, bool] = (None, True)
        # What the losses were resolved against, and whether that is what the model was given.
        self._seen: list[int] = []
        self._as_given = True
        self.outputs: list[str] = []

    @property
    def losses(self) -> list[Any]:
        """The losses, in the order of `compile`."""
        return self.placed.losses

    def build(
        self, y: Any, prediction: Any, outputs: Sequence[str], named: bool = True,
        own_loss: bool = False,
    ) -> None:  # fmt: skip
        """Resolve names against shapes.

        Args:
            y: a batch of targets, or their specs; None where there are none.
            prediction: the specs of the outputs.
            outputs: the outputs' names, one for each leaf.
            named: whether the model gave them; else logs name losses and metrics only.
            own_loss: whether the user computes the loss, so that losses are resolved when, and
                against what, they are asked for.

        Raises:
            ValueError: targets that do not pair up with the outputs that have a loss.
        """
        predictions = jax.tree.leaves(prediction)
        self.outputs, self._specs = list(outputs), (prediction, named)
        if self.config["loss"] is not None and not own_loss:
            self.placed.build(y, prediction, self.outputs, named)

        def per_output(what: str) -> list[Any]:
            if is_nested(prediction):
                return along(self.config[what], prediction, what)
            return spread(self.config[what], self.outputs, what, each=True)

        pairs = list(zip(self.targets(y), predictions, strict=True))
        self.entries = []
        for argument in ("metrics", "weighted_metrics"):
            listed = per_output(argument)
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
                    self.entries.append(Entry(metric, output, weighted, free(key, taken)))
        self.built = True

    def targets(self, y: Any) -> list[Any]:
        """The targets in the order of the outputs; None where there is none, or none is needed.

        Raises:
            ValueError: another number of targets than outputs, or than losses.
        """
        needed = self.placed.built or self.config["metrics"] or self.config["weighted_metrics"]
        return targets_of(y if needed else None, self.outputs, self.placed.outputs)

    def metrics(self) -> list[Metric]:
        """All metrics: the loss's mean first, then in the order of `compile`."""
        trackers = self.placed.trackers
        return [self.loss_tracker, *trackers, *(entry.metric for entry in self.entries)]

    def keep(self, listed: Sequence[Metric]) -> None:
        """From now on count only for those among `listed`."""
        kept = {id(metric) for metric in listed}
        self._left_out = {id(metric) for metric in self.metrics()} - kept

    def count_loss(self, loss: Any, rows: int) -> None:
        """Add a batch to the mean of the loss."""
        if self._counts(self.loss_tracker):
            self.loss_tracker.update_state(loss, sample_weight=rows)

    def total(self, y: Any, prediction: Any, weight: Any) -> Any:
        """The weighted sum of the outputs' losses; also counted one by one where several."""
        if self.placed.built or self.config["loss"] is None:
            return self.placed.total(y, prediction, weight, self._counts)
        specs, named = self._specs
        names = self.outputs
        if jax.tree.structure(specs) != jax.tree.structure(prediction):  # the user's own
            numbered = [f"output_{i + 1}" for i in range(len(jax.tree.leaves(prediction)))]
            names, named = path_names(prediction, numbered), isinstance(prediction, Mapping)
        self.placed.build(y, prediction, names, named)
        self._seen = [id(leaf) for leaf in jax.tree.leaves((y, prediction))]
        # This once nothing is counted: the step does not know the means that were just made.
        return self.placed.total(y, prediction, weight, lambda _: False)

    def shown(self, y: Any, prediction: Any) -> None:
        """The user's own loss was computed of these, so it is known what it made of them."""
        self._as_given = self._seen == [id(leaf) for leaf in jax.tree.leaves((y, prediction))]

    def _counts(self, metric: Metric) -> bool:
        return id(metric) not in self._left_out

    def observe(self, y: Any, prediction: Any, weight: Any) -> None:
        """Add a batch to the metrics; runs inside the step."""
        if not self.entries:
            return
        predictions, targets = jax.tree.leaves(prediction), self.targets(y)
        weights = spread_weights(weight, self.outputs)
        for entry in self.entries:
            if not self._counts(entry.metric):
                continue
            prediction = predictions[entry.output]
            own = weights[entry.output] if entry.weighted else None
            target = as_column(targets[entry.output], prediction)
            entry.metric.update_state(target, prediction, sample_weight=own)

    def names(self) -> list[str]:
        """The keys of the logs in the order of `evaluate`, which is Keras's.

        The loss, the metrics that bear their own name in the order of `compile`, the
        losses of the outputs, then the rest by name.
        """
        own = [entry.key for entry in self.entries if entry.key == entry.metric.name]
        rest = [entry.key for entry in self.entries if entry.key != entry.metric.name]
        listed = [tracker.name for tracker in self.placed.trackers]
        return [self.loss_tracker.name, *own, *listed, *sorted(rest)]

    def report(self) -> dict[str, Any]:
        """The logs: loss first, then metrics in the order of `compile`."""
        trackers = [self.loss_tracker, *self.placed.trackers]
        logs = {t.name: t.result() for t in trackers if self._counts(t)}
        for entry in self.entries:
            if not self._counts(entry.metric):
                continue
            result = entry.metric.result()
            if isinstance(result, Mapping):
                logs.update(result)
            else:
                logs[entry.key] = result
        return logs

    def checks(self) -> list[tuple[int, Callable[[np.ndarray, Any], None]]]:
        """What refuses targets that a loss cannot mean, and the output whose targets they are.

        Nothing where the user's own loss hands them other targets than `fit` was given.
        """
        return self.placed.checks() if self._as_given else []


def _as_list(items: Any) -> list[Any]:
    if items is None:
        return []
    return list(items) if isinstance(items, (list, tuple)) else [items]
