"""The whole state of a training between two steps, in a file: what a resumed run needs.

Not a model: the same program makes the model again and puts the state into it.
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from talweg.core.variables import Variable
from talweg.saving import hdf5, records
from talweg.saving.damage import DamagedFile
from talweg.saving.filling import Filling

_VERSION = 2


def cells(model: Any) -> list[Variable]:
    """All that training moves: weights, statistics, seeds, metrics; optimizer and settings."""
    optimizers = [model.optimizer]
    settings: list[Any] = []
    for optimizer in optimizers:
        optimizers.extend(getattr(optimizer, "parts", ()))
        settings.extend(optimizer._cells.values())
    state = jax.tree.leaves(model.optimizer.state._replace(hyper={}))
    counts = [variable for metric in model.metrics for variable in metric.variables]
    found = [*model.variables, *counts, *state, *settings]
    return list({id(cell): cell for cell in found if isinstance(cell, Variable)}.values())


def write(model: Any, path: str | Path, told: dict[str, Any], amid: bool = False) -> None:
    """Write the state of a model that is compiled and built, and what else is to be known.

    Args:
        told: ready for JSON.
        amid: whether an epoch is under way: the variables then hold the weights to train.
    """
    if not amid:
        model.optimizer.move_to_training()
    arrays = [np.asarray(cell._value) for cell in cells(model)]
    if not amid:
        model.optimizer.move_to_evaluation()
    text = json.dumps({"version": _VERSION, **told}, default=lambda array: array.tolist()).encode()
    with hdf5.replaced(Path(path)) as file:
        hdf5.write(file, "cells", "cells", {str(i): array for i, array in enumerate(arrays)})
        hdf5.write(file, "told", "told", {"0": np.frombuffer(text, np.uint8)})


def read(model: Any, path: str | Path, run: str | None = None) -> dict[str, Any]:
    """Put the state back; returns what else was told.

    Args:
        run: whose the file must be, by what was told as "run"; None for anyone's.

    Raises:
        DamagedFile: damaged, of another version, run or model: nothing was changed.
    """
    name = Path(path).name
    with hdf5.opened(str(path), name) as weights:
        text = "told/vars/0"
        if weights.described(text) is None:
            raise DamagedFile(f"{name} is no backup of a training.")
        told = records.parse(weights.read(text, 1 << 28).tobytes(), name, nan=True)
        if told.get("version") != _VERSION:
            raise DamagedFile(
                f"{name} has version {told.get('version')!r}; this talweg reads {_VERSION}."
            )
        if run is not None and told.get("run") != run:
            raise DamagedFile(f"{name} is of another run, {told.get('run')!r}, not of {run!r}.")
        mine, stored = cells(model), weights.of("cells")
        filling = Filling(weights)
        for i, cell in enumerate(mine):
            filling.pair(f"cells/vars/{i}", cell)
        for i in range(len(mine), len(stored)):
            filling.leave(f"cells/vars/{i}")
        filling.settle(skip_mismatch=False, optimizer=True)
        filling.carry_out(allow_nan=True)
    model.optimizer.move_to_evaluation()
    return told
