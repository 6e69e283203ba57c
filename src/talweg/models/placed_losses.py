"""The losses that `compile` was given, each at its place in the outputs.

A loss is given what the model puts at its place: mostly one tensor, but `loss={"box": near}` hands
the function `near` all of `outputs["box"]`. A list may hold several losses for one place.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from talweg import losses, metrics
from talweg.core import errors
from talweg.data.host import rows_of
from talweg.metrics import Mean
from talweg.models.structures import (
    along,
    as_column,
    free,
    is_nested,
    spread,
    spread_weights,
    targets_of,
)


class Place(NamedTuple):
    """What stands at a place of the outputs: an item of `compile`'s, and which outputs are there.

    Attributes:
        given: the loss.
        weight: of its own, None for 1.
        path: the keys that lead there.
        part: the structure of the outputs there, with their positions among all.
    """

    given: Any
    weight: Any
    path: tuple[Any, ...]
    part: Any

    @property
    def outputs(self) -> list[int]:
        """The positions of its outputs."""
        return jax.tree.leaves(self.part)

    @property
    def whole(self) -> bool:
        """Whether the loss is given a structure, not one tensor."""
        return not jax.tree_util.all_leaves([self.part])

    def of(self, leaves: Sequence[Any]) -> Any:
        """Its part of what there is for each output."""
        return jax.tree.map(lambda position: leaves[position], self.part)


def _holds(item: Any) -> bool:
    return isinstance(item, (list, tuple, Mapping))


def places(given: Any, weights: Any, part: Any, path: tuple[Any, ...] = ()) -> Iterator[Place]:
    """Every loss with its place.

    Args:
        given: a loss, or a structure of them that follows that of the outputs; a list beside
            anything else holds several losses for the same place. None stands for no loss.
        weights: the same of numbers.
        part: the positions of the outputs there, in their structure.
        path: the way to them.

    Raises:
        ValueError: a key that is not among the outputs, a list of another length.

    >>> found = places({"b": ["f", {"x": "g"}]}, None, {"a": 0, "b": {"x": 1}})
    >>> [(place.given, place.path, place.part) for place in found]
    [('f', ('b',), {'x': 1}), ('g', ('b', 'x'), 1)]
    """
    if given is None:
        return
    if not _holds(given):
        yield Place(given, weights, path, part)
        return
    listed, series = isinstance(given, (list, tuple)), isinstance(part, (list, tuple))
    ends = jax.tree_util.tree_leaves_with_path(part)
    if listed and len(given) == len(ends) and not any(map(_holds, given)):
        inner = {i: (tuple(map(_key, way)), end) for i, (way, end) in enumerate(ends)}
    elif listed and not series:
        inner = dict.fromkeys(range(len(given)), ((), part))
    elif listed and len(given) == len(part):
        inner = {i: ((i,), end) for i, end in enumerate(part)}
    elif not listed and isinstance(part, Mapping):
        inner = {key: ((key,), end) for key, end in part.items()}
    else:
        raise errors.invalid("compile", "loss", f"in the structure {_shown(part)} here", given)
    items = dict(enumerate(given)) if listed else given
    shares = _one_each(weights, list(items), inner)
    for key, item in items.items():
        if key not in inner:
            raise errors.unknown("output in loss", key, map(str, inner))
        way, there = inner[key]
        yield from places(item, shares[key], there, (*path, *way))


def _key(step: Any) -> Any:
    """What a step of a path of JAX's is called by."""
    return getattr(step, "key", getattr(step, "idx", getattr(step, "name", None)))


def _one_each(weights: Any, keys: Sequence[Any], inner: Mapping[Any, Any]) -> dict[Any, Any]:
    """A weight, or a structure of them, for each loss of a list or dict."""
    if isinstance(weights, Mapping) and not set(weights) - set(inner):
        return {key: weights.get(key) for key in keys}
    if isinstance(weights, (list, tuple)) and len(weights) == len(keys):
        return dict(zip(sorted(keys), weights, strict=True))
    if _holds(weights):
        raise errors.invalid("compile", "loss_weights", "in the structure of the losses", weights)
    return dict.fromkeys(keys, weights)


def _shown(part: Any) -> Any:
    return jax.tree.map(lambda _: "…", part)


def all_places(loss: Any, weights: Any, outputs: Any, names: Sequence[str]) -> list[Place]:
    """The same for all outputs, whose names may stand for their places.

    Args:
        loss: one for each output; or as `places` has it; or by the names of the outputs.
        weights: the same of numbers, or None.
        outputs: the positions of the outputs, in their structure.
        names: their names, in order.
    """
    named = isinstance(outputs, Mapping)

    def placed(given: Any, what: str) -> Any:
        items = spread(given, names, what)
        return dict(zip(names, items, strict=True)) if named else items

    if is_nested(outputs):
        if not _holds(loss):
            loss, weights = [loss] * len(names), along(weights, outputs, "loss_weights")
        return list(places(loss, weights, outputs))
    if not (named and isinstance(loss, Mapping) and set(loss) <= set(names)):
        each = not _holds(loss) or isinstance(loss, Mapping)
        loss = placed(loss, "loss") if each else loss
        weights = (
            placed(weights, "loss_weights") if each or isinstance(weights, Mapping) else weights
        )
    if jax.tree_util.all_leaves([outputs]):
        loss, weights = _first_of_one(loss), weights[:1] if _holds(weights) else weights
    return list(places(loss, weights, outputs))


def _first_of_one(given: Any) -> Any:
    """The loss of the only output. Of several Keras takes the first, without a word."""
    if len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = given[0]
    if len(given) > 1:
        warnings.warn(
            f"Of {len(given)} losses for one output only the first counts, as in Keras. To add "
            "them, pass one function that does.",
            UserWarning,
            stacklevel=2,
        )
    return given[:1]


def _resolve(identifier: Any, y: Any, prediction: Any) -> Any:
    if str(identifier).lower() in ("crossentropy", "ce"):
        kind = metrics.crossentropy_for(y.shape, prediction.shape).__name__
        found = losses.get(kind)
    else:
        found = losses.get(identifier)
    if isinstance(found, losses.Loss):
        return found
    name = identifier if isinstance(identifier, str) else None
    name = name or getattr(found, "name", None) or getattr(found, "__name__", "loss")
    return losses.LossFunctionWrapper(found, name=name)


def _takes_structures(loss: Any) -> bool:
    """Whether it is the user's: what talweg exports is of one tensor."""
    written = loss.fn if type(loss) is losses.LossFunctionWrapper else type(loss)
    return not str(getattr(written, "__module__", "")).startswith("talweg.")


class PlacedLosses:
    """All losses of a compiled model, and the mean of each where there are several.

    Built on the first targets and outputs that they are given: a model whose `compute_loss` is
    overridden may hand them others than its own.

    Args:
        loss, weights: of `compile`.
    """

    def __init__(self, loss: Any, weights: Any):
        self.given, self.given_weights = loss, weights
        self.built = False
        self.names: list[str] = []
        self.places: list[Place] = []
        self.losses: list[Any] = []
        self.trackers: list[Mean] = []

    @property
    def outputs(self) -> list[int]:
        """The positions of the outputs that have a loss."""
        return sorted({i for place in self.places for i in place.outputs})

    def targets_for(self, y: Any) -> list[Any]:
        """The target of each output; None where no loss asks for one.

        Raises:
            ValueError: an output with a loss has none.
        """
        targets = targets_of(y, self.names, self.outputs) if self.places else []
        lacking = [self.names[i] for i in self.outputs if targets[i] is None]
        if lacking and y is None:
            raise ValueError(
                "The model was compiled with a loss, but no y came. Pass y, or batches (x, y)."
            )
        if lacking:
            raise ValueError(f"y lacks targets for output {lacking[0]!r}, which has a loss.")
        return targets

    def build(self, y: Any, outputs: Any, names: Sequence[str], named: bool) -> None:
        """Find places, and losses by name.

        Args:
            y: targets, or their specs; None where there are none.
            outputs: the outputs, or their specs.
            names: the names of the outputs, one for each leaf.
            named: whether the model gave them; else logs name the losses.

        Raises:
            ValueError: targets that do not pair up with the outputs that have a loss.
        """
        self.names = list(names)
        leaves, structure = jax.tree.flatten(outputs)
        positions = jax.tree.unflatten(structure, list(range(len(leaves))))
        self.places = all_places(self.given, self.given_weights, positions, self.names)
        targets = self.targets_for(y)
        firsts = [place.outputs[0] for place in self.places]
        self.losses = [
            _resolve(place.given, targets[i], leaves[i])
            for i, place in zip(firsts, self.places, strict=True)
        ]
        for place, loss in zip(self.places, self.losses, strict=True):
            if place.whole and not _takes_structures(loss):
                raise errors.invalid(
                    "compile", "loss", f"one for each of {_shown(place.part)}", place.given,
                    "It takes one output; a function of your own may take all of them.",
                )  # fmt: skip
        self.trackers = []
        for place, loss in zip(self.places, self.losses, strict=True):
            name = self._name(place) if named or place.whole else loss.name
            taken = [tracker.name for tracker in self.trackers]
            self.trackers.append(Mean(name=free(f"{name}_loss", taken)))
        if len(self.places) < 2:
            self.trackers = []
        self.built = True

    def _name(self, place: Place) -> str:
        if not place.whole:
            return self.names[place.part]
        if place.path:
            return "/".join(map(str, place.path))
        return "_".join(place.part if isinstance(place.part, Mapping) else self.names)

    def total(self, y: Any, outputs: Any, weight: Any, counts: Callable[[Mean], bool]) -> Any:
        """The weighted sum of the losses; each is also counted in its mean.

        Args:
            y, outputs: of a batch.
            weight: of its rows; or one for each output, by position or name.
            counts: whether a mean is to be counted.
        """
        leaves = jax.tree.leaves(outputs)
        targets = targets_of(y, self.names, self.outputs) if self.places else []
        weights = spread_weights(weight, self.names)
        terms: list[Any] = []
        for i, (place, loss) in enumerate(zip(self.places, self.losses, strict=True)):
            target, output = place.of(targets), place.of(leaves)
            shared = {id(weights[k]): weights[k] for k in place.outputs}
            if len(shared) > 1:
                raise errors.invalid(
                    "fit", "sample_weight", f"one for the outputs that {loss.name!r} takes", weight
                )
            own = next(iter(shared.values()))
            target = target if place.whole else as_column(target, output)
            term = loss(target, output, sample_weight=own)
            terms.append(term if place.weight is None else term * float(place.weight))
            if self.trackers and counts(self.trackers[i]):
                self.trackers[i].update_state(term, sample_weight=rows_of(output))
        return sum(terms[1:], terms[0]) if terms else jnp.float32(0)

    def checks(self) -> list[tuple[int, Callable[[np.ndarray, Any], None]]]:
        """What refuses targets that a loss cannot mean, and the output whose targets they are."""
        return [
            (place.part, losses.checker(loss))
            for place, loss in zip(self.places, self.losses, strict=True)
            if not place.whole
        ]
