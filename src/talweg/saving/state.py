"""From the parts of a model to an HDF5 file, and back: all of it fits, or nothing is changed."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from talweg.core import errors
from talweg.core.variables import Variable
from talweg.layers.tracking import Tracked
from talweg.models import Model
from talweg.optimizers import Optimizer
from talweg.saving import hdf5
from talweg.saving.damage import DamagedFile
from talweg.saving.filling import Filling
from talweg.saving.hdf5 import Weights
from talweg.saving.layout import parts

# Where a layer's weights stand that a reader may pass over.
_APART = "apart"

# Where the weights to train stand, of an optimizer that trains others than those to use.
_ASIDE = "trained"

# What a layer that reads its state in a way of its own may claim, in bytes.
_OWN_WAY = 1 << 28


def write(file: Any, model: Any, skipped: Iterable[Any] = ()) -> None:
    """Write the state of all parts of a model, but for some layers, into an open HDF5 file."""
    for path, name, values in values_of(model, skipped):
        hdf5.write(file, path, name, values)


def values_of(model: Any, skipped: Iterable[Any] = ()) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The path, the name and the own variables of every part of a model but some layers."""
    left = _below(skipped)
    for path, part in parts(model):
        if id(part) in left:
            continue
        values: dict[str, Any] = {}
        if isinstance(part, Optimizer):
            values = _numbered(part.variables)
        else:
            part.save_own_variables(values)
        yield path, str(part.name), values
        apart = [] if isinstance(part, Optimizer) else part._saved_apart()
        if apart:
            yield f"{path}/{_APART}" if path else _APART, str(part.name), _numbered(apart)
        # Computed from the weights to use, they would differ in the last bit.
        aside = part.weights_aside() if isinstance(part, Optimizer) else []
        if aside:
            yield f"{path}/{_ASIDE}", str(part.name), _numbered(aside)


def _numbered(values: Iterable[Any]) -> dict[str, Any]:
    return {str(i): value for i, value in enumerate(values)}


def _below(layers: Iterable[Any]) -> set[int]:
    return {id(layer) for part in layers for layer in part._flatten_layers()}


def assets_of(model: Any) -> dict[str, bytes]:
    """The files that layers keep beside their weights, such as vocabularies, by their paths."""
    found: dict[str, bytes] = {}
    for path, part in parts(model):
        if not hasattr(part, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            part.save_assets(folder)
            for file in sorted(Path(folder).iterdir()):
                found[f"{path}/{file.name}" if path else file.name] = file.read_bytes()
    return found


def load_assets(model: Any, archive: Any) -> None:
    """Hand to every layer the files that it left in the archive."""
    for path, part in parts(model):
        if not hasattr(part, "load_assets"):
            continue
        files = archive.assets(path)
        if not files:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            part.load_assets(folder)


class Plan(Filling):
    """The parts of a model, each with what the file has under its path.

    Args:
        model: a built model.
        weights: an open file.
        optimizer: whether the optimizer's state must be there.
        skipped: layers that keep what they have.
    """

    def __init__(self, model: Any, weights: Weights, optimizer: bool, skipped: Iterable[Any] = ()):
        super().__init__(weights)
        self.model = model
        self.own_ways: list[tuple[Any, dict[str, str]]] = []
        self.layers: list[Any] = []
        self.aside: tuple[Optimizer, list[str]] | None = None
        left = _below(skipped)
        used: set[str] = set()
        owners: dict[str, Any] = {}
        for path, part in parts(model):
            owners[path] = part
            prefix = f"{path}/vars" if path else "vars"
            stored = weights.of(path)
            apart = weights.of(f"{path}/{_APART}" if path else _APART)
            used.update([*stored.values(), *apart.values()])
            if id(part) in left:
                continue
            if isinstance(part, Optimizer):
                aside = weights.of(f"{path}/{_ASIDE}")
                used.update(aside.values())
                ordered = _by_number(stored.values())
                if "/" in path:
                    self._pair_inside(part, ordered, owners.get(path.rpartition("/")[0]))
                elif stored or optimizer:
                    self.pair_optimizer(part, ordered, model.trainable_variables)
                    self._pair_aside(part, aside)
            elif type(part).load_own_variables is not Tracked.load_own_variables:
                self.own_ways.append((part, stored))
            else:
                self._pair_layer(prefix, part, stored.values(), _by_number(apart.values()))
        # Of a model that is not compiled.
        idle = tuple(
            f"{path}/optimizer/" if path else "optimizer/"
            for path, part in parts(model)
            if isinstance(part, Model) and part.optimizer is None
        )
        for name in weights.datasets:
            if name not in used and not name.startswith(idle):
                self.leave(name)

    def _pair_layer(self, prefix: str, layer: Any, stored: Iterable[str], apart: list[str]) -> None:
        variables = {f"{prefix}/{i}": v for i, v in enumerate(layer._saved_weights())}
        others, fits = layer._saved_apart(), len(self.pairs) + len(variables)
        for name, variable in variables.items():
            self.pair(name, variable)
        if others and len(self.pairs) == fits and self._described(apart) == _specs(others):
            self.pairs += zip(others, apart, strict=True)
        self.layers.append(layer)
        for name in sorted(set(stored) - variables.keys()):
            self.leave(name)

    def _pair_inside(self, optimizer: Optimizer, paths: list[str], owner: Any) -> None:
        """The state of the optimizer of a model among the layers, where it fits; Keras has none."""
        if not paths or not isinstance(owner, Model):  # an optimizer inside another
            return
        state = Filling(self.source)
        state.pair_optimizer(optimizer, paths, [v for v in owner.weights if v.made_trainable])
        if not state.optimizer:
            self.pairs += state.pairs

    def _pair_aside(self, optimizer: Optimizer, stored: Any) -> None:
        paths = _by_number(stored.values())
        if paths and self._described(paths) == _specs(optimizer.trainable_variables):
            self.aside = (optimizer, paths)

    def _described(self, paths: list[str]) -> list[Any]:
        return [self.source.described(path) for path in paths]

    @property
    def hint(self) -> str:
        """What to do where a model was not ready for its weights."""
        if not self.extra or all(layer.built for layer in self.model._flatten_layers()):
            return ""
        return (
            "Some layers have no weights yet: build the model first, for example by calling it on "
            "a batch."
        )

    def carry_out(self, allow_nan: bool) -> None:
        """Read everything, then assign; layers with a way of their own may still refuse.

        Raises:
            DamagedFile: data that cannot be read; NaN, unless it is allowed; a layer that does
                not take what the file has for it. The weights are then what they were.
        """
        own_ways = [
            (part, {key: self.source.read(name, _OWN_WAY) for key, name in stored.items()})
            for part, stored in self.own_ways
        ]
        for part, own in own_ways:
            for array in own.values():
                self.check_nan(part.name, array, allow_nan)
        optimizer, paths = self.aside or (None, [])
        trained = [self.source.read(path) for path in paths]
        for path, array in zip(paths, trained, strict=True):
            self.check_nan(path, array, allow_nan)
        touched = [*self.model.variables, *(variable for variable, _ in self.pairs)]
        before = [(variable, variable._value) for variable in touched]
        super().carry_out(allow_nan)
        filled = {id(variable) for variable, _ in self.pairs}
        for layer in self.layers:
            own = [*layer._saved_weights(), *layer._saved_apart()]
            layer._loaded([variable for variable in own if id(variable) in filled])
        for part, own in own_ways:
            try:
                part.load_own_variables(own)
            except Exception as error:  # of the layer's own code: whatever it raises
                for variable, value in before:
                    variable.assign(value)
                raise DamagedFile(
                    f"{self.source.name}: layer {part.name!r} does not take what the file has for "
                    f"it ({errors.shown(error, 200)})."
                ) from error
        if optimizer is not None:
            optimizer.put_aside(trained)


def _specs(variables: Iterable[Variable]) -> list[Any]:
    return [(tuple(v.shape), v._value.dtype) for v in variables]


def _by_number(paths: Iterable[str]) -> list[str]:
    """The datasets of an optimizer in order: /2 before /10."""

    def number(path: str) -> tuple[int, str]:
        last = path.rpartition("/")[2]
        return (int(last) if last.isascii() and last.isdigit() else 1 << 60), path

    return sorted(paths, key=number)


def load(
    model: Any,
    weights: Weights,
    optimizer: bool,
    skip_mismatch: bool,
    allow_nan: bool,
    skipped: Iterable[Any] = (),
) -> None:
    """Put what is in a file into a model.

    Args:
        model: a built model.
        weights: an open file.
        optimizer: whether a state of the optimizer that does not fit is an error; else it is
            left out with a warning.
        skip_mismatch: whether to take what fits and warn about all else.
        allow_nan: whether NaN may be in it.
        skipped: layers that keep what they have.

    Raises:
        ValueError: what does not fit, in a list; nothing was changed.
    """
    plan = Plan(model, weights, optimizer, skipped)
    plan.settle(skip_mismatch, optimizer, plan.hint)
    plan.carry_out(allow_nan)
