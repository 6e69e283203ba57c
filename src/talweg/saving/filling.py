"""From a file into variables: all of it fits, or nothing is changed and all misfits are told."""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import ml_dtypes
import numpy as np

from talweg.core.variables import Variable
from talweg.optimizers import Optimizer
from talweg.saving.damage import DamagedFile

# How many names of one kind a message shows.
_SHOWN = 30


class Source(Protocol):
    """An open file of arrays, looked at and not yet read."""

    name: str

    def described(self, path: str) -> tuple[tuple[int, ...], np.dtype] | None:
        """Shape and type of an array, by what the file's head says; None where it is missing."""
        ...

    def read(self, path: str, limit: int | None = None) -> np.ndarray:
        """The array itself."""
        ...


class Filling:
    """What is to be put where: made by looking, before anything is read or changed.

    Args:
        source: an open file.
    """

    def __init__(self, source: Source):
        self.source = source
        self.pairs: list[tuple[Variable, str]] = []
        self.missing: list[str] = []
        self.different: list[str] = []
        self.extra: list[str] = []
        self.optimizer: list[str] = []

    def pair(self, path: str, variable: Variable) -> None:
        """Let the array at `path` fill `variable`, or note why it cannot."""
        found = self.source.described(path)
        if found is None:
            whose = "" if path == variable.path else f"{variable.path}, "
            self.missing.append(f"{path} ({whose}shape {variable.shape})")
            return
        shape, dtype = found
        mine = variable._value.dtype
        if shape != tuple(variable.shape):
            self.different.append(
                f"{path} has shape {shape}, the model wants {variable.shape} ({variable.path})"
            )
        elif kind(dtype) != kind(mine):
            self.different.append(
                f"{path} has type {dtype}, the model wants {mine} ({variable.path})"
            )
        else:
            self.pairs.append((variable, path))

    def leave(self, path: str) -> None:
        """Note an array that no variable wants, if it is there."""
        found = self.source.described(path)
        if found is not None:
            self.extra.append(f"{path} (shape {found[0]})")

    def pair_all(self, variables: Sequence[Variable], paths: Sequence[str]) -> None:
        """Pair by position; variables and paths without a partner are missing and left over."""
        for variable, path in zip(variables, paths, strict=False):
            self.pair(path, variable)
        self.missing += [f"{v.path} (shape {v.shape})" for v in variables[len(paths) :]]
        for path in paths[len(variables) :]:
            self.leave(path)

    def pair_optimizer(
        self, optimizer: Optimizer, paths: Sequence[str], trained: Sequence[Variable]
    ) -> None:
        """State of an optimizer by position: all of it or none.

        Args:
            optimizer: built here, unless the file's was not built either.
            paths: of the arrays, in order.
            trained: the variables that it moves.
        """
        if not optimizer.built and len(paths) != len(optimizer.variables):
            optimizer.build(trained)
        state, variables = Filling(self.source), optimizer.variables
        state.pair_all(variables, paths)
        misfits = [
            *(f"missing: {name}" for name in state.missing),
            *state.different,
            *(f"left over: {name}" for name in state.extra),
        ]
        if misfits:
            counts = f"{optimizer.name} has {len(variables)} variables, the file {len(paths)}"
            self.optimizer += [counts, *misfits]
        else:
            self.pairs += state.pairs

    @property
    def report(self) -> str:
        """What does not fit, a line each; empty where all does."""
        lines = []
        for what, found in (
            ("Missing in the file", self.missing),
            ("Of another shape or type", self.different),
            ("In the file, but not in the model", self.extra),
            ("Optimizer", self.optimizer),
        ):
            if found:
                lines += [f"{what}:", *(f"  {name}" for name in found[:_SHOWN])]
            if len(found) > _SHOWN:
                lines.append(f"  … and {len(found) - _SHOWN} more")
        return "\n".join(lines)

    def settle(self, skip_mismatch: bool, optimizer: bool, hint: str = "") -> None:
        """Raise where something does not fit, or warn.

        Args:
            skip_mismatch: whether to go on with what fits.
            optimizer: whether an optimizer's state that does not fit is reason enough to raise.
            hint: what to do, for the error.

        Raises:
            ValueError: the whole report.
        """
        report = self.report
        weights_fit = not (self.missing or self.different or self.extra)
        if not report:
            return
        if not skip_mismatch and (optimizer or not weights_fit):
            raise ValueError(
                f"{self.source.name} does not fit the model.\n{report}\n{hint}".strip()
            )
        warnings.warn(
            f"{self.source.name}: not all of it was loaded.\n{report}", UserWarning, stacklevel=5
        )

    def read(self, allow_nan: bool) -> list[tuple[Variable, np.ndarray]]:
        """The arrays in the types of their variables; nothing is assigned yet.

        Raises:
            DamagedFile: data that cannot be read, or does not fit its type; NaN, unless it is
                allowed.
        """
        found = []
        for variable, path in self.pairs:
            array = self.source.read(path)
            self.check_nan(path, array, allow_nan)
            dtype = variable._value.dtype
            # What is too large for a smaller float becomes infinite, as everywhere.
            with np.errstate(over="ignore"):
                cast = array.astype(dtype)
            if np.issubdtype(dtype, np.integer) and not np.array_equal(cast, array):
                raise DamagedFile(f"{self.source.name}: {path} does not fit into {dtype}.")
            found.append((variable, cast))
        return found

    def check_nan(self, path: str, array: np.ndarray, allow_nan: bool) -> None:
        """Refuse NaN, unless it is allowed."""
        floating = array.dtype.kind not in "iub"
        if not allow_nan and floating and np.isnan(array.astype("float32")).any():
            raise DamagedFile(
                f"{self.source.name}: {path} holds NaN. Pass allow_nan=True to load it all the "
                "same."
            )

    def carry_out(self, allow_nan: bool) -> None:
        """Read everything, then assign."""
        for variable, array in self.read(allow_nan):
            variable.assign(array)


def kind(dtype: Any) -> str:
    """f, i or b for floats, integers and truth values; its own letter for all others."""
    if dtype == ml_dtypes.bfloat16:
        return "f"
    return "i" if dtype.kind == "u" else dtype.kind
