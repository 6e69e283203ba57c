"""From the parts of a model to an HDF5 file, and back: all of it fits, or nothing is changed."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from talweg.layers.tracking import Tracked
from talweg.optimizers import Optimizer
from talweg.saving import hdf5
from talweg.saving.hdf5 import DamagedFile, Weights
from talweg.saving.layout import parts

_SHOWN = 8
# What a part may claim beyond what was compared with a variable: its own state, its own way.
_OWN_WAY = 1 << 28


def write(file: Any, model: Any) -> None:
    """Write the state of all parts of a model into an open HDF5 file."""
    for path, part in parts(model):
        values: dict[str, Any] = {}
        if isinstance(part, Optimizer):
            values = {str(i): variable for i, variable in enumerate(part.variables)}
        else:
            part.save_own_variables(values)
        hdf5.write(file, path, str(part.name), values)


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


class Plan:
    """What is to be put where: made by looking, before anything is read or changed.

    Args:
        model: a built model.
        weights: an open file.
        optimizer: whether the optimizer's state must be there.
    """

    def __init__(self, model: Any, weights: Weights, optimizer: bool):
        self.model, self.weights = model, weights
        self.pairs: list[tuple[Any, Any, str]] = []
        self.own_ways: list[tuple[Any, dict[str, Any]]] = []
        self.missing: list[str] = []
        self.different: list[str] = []
        self.optimizers: list[str] = []
        used: set[str] = set()
        for path, part in parts(model):
            stored = weights.of(path)
            if isinstance(part, Optimizer):
                used.update(self._names(path, stored))
                if "/" not in path and (stored or optimizer):
                    self._plan_optimizer(path, part, stored)
                continue
            if type(part).load_own_variables is not Tracked.load_own_variables:
                used.update(self._names(path, stored))
                self.own_ways.append((part, stored))
                continue
            for i, variable in enumerate(part._own_weights()):
                name = f"{path}/vars/{i}" if path else f"vars/{i}"
                used.add(name)
                self._pair(name, variable, stored.get(str(i)))
        self.extra = [name for name in weights.datasets if name not in used]
        if getattr(model, "optimizer", None) is None:
            self.extra = [name for name in self.extra if not name.startswith("optimizer/")]

    def _names(self, path: str, stored: Mapping[str, Any]) -> Iterator[str]:
        return (f"{path}/vars/{key}" if path else f"vars/{key}" for key in stored)

    def _pair(self, name: str, variable: Any, dataset: Any) -> None:
        if dataset is None:
            self.missing.append(f"{name} ({variable.path}, shape {variable.shape})")
            return
        difference = self.weights.difference(dataset, variable.shape, variable.value.dtype)
        if difference is not None:
            self.different.append(f"{name} {difference} ({variable.path})")
            return
        self.pairs.append((variable, dataset, name))

    def _plan_optimizer(self, path: str, optimizer: Optimizer, stored: Mapping[str, Any]) -> None:
        """State by position, all of it or none; that before the first step is shorter."""
        if not optimizer.built and len(stored) != len(optimizer.variables):
            optimizer.build(self.model.trainable_variables)
        variables = optimizer.variables
        if len(stored) != len(variables):
            self.optimizers.append(
                f"{path}: the file has {len(stored)} variables of the optimizer, "
                f"{optimizer.name} has {len(variables)}"
            )
            return
        for i, variable in enumerate(variables):
            self._pair(f"{path}/vars/{i}", variable, stored.get(str(i)))

    @property
    def report(self) -> str:
        """What does not fit, in sentences; empty where all does."""
        lines = []
        for what, found in (
            ("Missing in the file", self.missing),
            ("Of another shape or type", self.different),
            ("In the file, but not in the model", self.extra),
            ("Optimizer", self.optimizers),
        ):
            if found:
                more = f" … and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
                lines.append(f"{what}: {'; '.join(found[:_SHOWN])}{more}.")
        if self.extra and any(not layer.built for layer in self.model._flatten_layers()):
            lines.append(
                "Some layers have no weights yet: build the model first, for example by calling "
                "it on a batch."
            )
        return "\n".join(lines)

    def carry_out(self, allow_nan: bool) -> None:
        """Read everything, then assign.

        Raises:
            DamagedFile: data that cannot be read; NaN, unless it is allowed.
        """
        values = [self.weights.read(dataset) for _, dataset, _ in self.pairs]
        own_ways = [
            (part, {key: self.weights.read(dataset, _OWN_WAY) for key, dataset in stored.items()})
            for part, stored in self.own_ways
        ]
        if not allow_nan:
            arrays = [(name, a) for (_, _, name), a in zip(self.pairs, values, strict=True)]
            arrays += [(part.name, array) for part, own in own_ways for array in own.values()]
            for name, array in arrays:
                if _holds_nan(array):
                    raise DamagedFile(
                        f"{self.weights.name}: {name} holds NaN. Pass allow_nan=True to load it "
                        "all the same."
                    )
        for (variable, _, name), array in zip(self.pairs, values, strict=True):
            dtype = variable._value.dtype
            cast = array.astype(dtype)
            if np.issubdtype(dtype, np.integer) and not np.array_equal(cast, array):
                raise DamagedFile(f"{self.weights.name}: {name} does not fit into {dtype}.")
            variable.assign(cast)
        for part, own in own_ways:
            part.load_own_variables(own)


def _holds_nan(array: np.ndarray) -> bool:
    return bool(array.dtype.kind not in "iub" and np.isnan(array.astype("float32")).any())


def load(
    model: Any, weights: Weights, optimizer: bool, skip_mismatch: bool, allow_nan: bool
) -> None:
    """Put what is in a file into a model.

    Args:
        model: a built model.
        weights: an open file.
        optimizer: whether a state of the optimizer that does not fit is an error; else it is
            left out with a warning.
        skip_mismatch: whether to take what fits and warn about all else.
        allow_nan: whether NaN may be in it.

    Raises:
        ValueError: what does not fit, in a list; nothing was changed.
    """
    plan = Plan(model, weights, optimizer)
    report = plan.report
    only_optimizer = not (plan.missing or plan.different or plan.extra)
    if report and not skip_mismatch and (optimizer or not only_optimizer):
        raise ValueError(f"{weights.name} does not fit the model.\n{report}")
    if report:
        warnings.warn(
            f"{weights.name}: not all of it was loaded.\n{report}", UserWarning, stacklevel=4
        )
    plan.carry_out(allow_nan)
