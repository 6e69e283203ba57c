"""Looking into a file of weights, and changing what is in it: Keras's KerasFileEditor.

For weights that are to go into a model whose layers are other ones by now.
"""

import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from talweg.core import errors
from talweg.saving import archive, hdf5, records, state
from talweg.saving.filling import kind

_WEIGHTS = ".weights.h5"
# Where the variables of the model itself are among its parts.
_ROOT = "vars"

_Tree = dict[str, Any]


class KerasFileEditor:
    """The weights of a file as a tree that can be listed, compared, changed and written.

    Objects are layers and optimizers, called by their path ("layers/dense_2") or, where that
    is enough, by its last part ("dense_2"); weights are called "0", "1", ….

    Args:
        filepath: a `.keras` or `.weights.h5` file. It is only read.

    Attributes:
        weights_dict: object -> object or weight, down to the arrays.
        metadata, config: what a `.keras` file says of itself; else None.
        object_metadata: path of an object -> {"name": the name of the layer}.

    Raises:
        ValueError: another ending; a damaged file.

    >>> import tempfile
    >>> from talweg import Sequential, layers
    >>> path = tempfile.mkdtemp() + "/old.weights.h5"
    >>> Sequential([layers.Input((2,)), layers.Dense(3)]).save_weights(path)
    >>> editor = KerasFileEditor(path)
    >>> editor.rename_object("dense", "dense_1")
    >>> editor.summary(print)
    layers
      dense_1
        0: shape=(2, 3), dtype=float32
        1: shape=(3,), dtype=float32
    """

    def __init__(self, filepath: str | os.PathLike[str]):
        self.filepath = os.fspath(filepath)
        name = Path(filepath).name
        self.metadata: dict[str, Any] | None = None
        self.config: dict[str, Any] | None = None
        source: Any = self.filepath
        if name.endswith(".keras"):
            with Path(filepath).open("rb") as file:
                opened = archive.Archive(file, name)
                self.metadata = records.parse(opened.read(archive.METADATA), archive.METADATA)
                self.config = records.parse(opened.read(archive.CONFIG), archive.CONFIG)
                source = io.BytesIO(opened.read(archive.WEIGHTS))
        elif not name.endswith(_WEIGHTS):
            raise errors.invalid(
                "KerasFileEditor", "filepath", "a name that ends in .keras or .weights.h5", name
            )
        self.weights_dict: _Tree = {}
        self.object_metadata: dict[str, dict[str, str]] = {}
        with hdf5.opened(source, name) as weights:
            limit = 100 * weights.stored + (1 << 20)
            for path in sorted(weights.datasets, key=_place):
                group, _, key = path.rpartition("/")
                part = group.removesuffix("/vars") or _ROOT
                known = weights.attribute(group, "name")
                if isinstance(known, str):
                    self.object_metadata[f"/{part}"] = {"name": known}
                _put(self.weights_dict, f"{part}/{key}", weights.read(path, limit))
                limit -= weights.size(path)

    def summary(self, print_fn: Any = None) -> None:
        """Print the tree.

        Args:
            print_fn: called with every line; `print` by default.
        """
        show = print_fn or print
        for depth, path, value in _walk(self.weights_dict):
            name = "  " * depth + _shown(path.rpartition("/")[2])
            if isinstance(value, dict):
                known = self.object_metadata.get(f"/{path}", {}).get("name")
                other = known is not None and known != path.rpartition("/")[2]
                show(f"{name} ('{_shown(known)}')" if other and known else name)
            else:
                show(f"{name}: shape={value.shape}, dtype={value.dtype}")

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Print what the file has and a model lacks, the reverse, and other shapes.

        Args:
            reference_model: a built model.

        Returns:
            "status" ("success" or "error"), "error_count" (an object that is missing counts
            once) and "match_count" (of weights).
        """
        theirs: _Tree = {}
        for path, _, values in state.values_of(reference_model):
            for key, value in values.items():
                _put(theirs, f"{path or _ROOT}/{key}", value)
        found, matches = _differences(self.weights_dict, theirs)
        for line in found:
            print(line)
        return {
            "status": "error" if found else "success",
            "error_count": len(found),
            "match_count": matches,
        }

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Let an object have another name, in the same place.

        Raises:
            ValueError: no such object, or several; a new name that is a path, or taken.
        """
        _check_leaf("rename_object", "new_name", new_name)
        parent, name = self._find(object_name)
        if new_name in parent:
            raise errors.invalid("rename_object", "new_name", "a name that is free", new_name)
        parent[new_name] = parent.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Remove an object and all below it.

        Raises:
            ValueError: no such object, or several.
        """
        parent, name = self._find(object_name)
        del parent[name]

    def add_object(self, object_path: str, weights: Mapping[str, Any]) -> None:
        """Add an object, or replace it.

        Args:
            object_path: its whole path, such as "layers/dense_2".
            weights: its arrays by their names: "0", "1", ….

        Raises:
            ValueError: no such place.
        """
        arrays = _arrays("add_object", weights)
        above, _, name = object_path.strip("/").rpartition("/")
        _check_leaf("add_object", "object_path", name)
        self._at(above)[name] = arrays

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Remove one weight of an object.

        Raises:
            ValueError: no such object or weight.
        """
        parent, name = self._find(object_name)
        if isinstance(parent[name].get(weight_name), dict) or weight_name not in parent[name]:
            raise errors.unknown(f"weight of {object_name}", weight_name, parent[name])
        del parent[name][weight_name]

    def add_weights(self, object_name: str, weights: Mapping[str, Any]) -> None:
        """Add weights to an object, or replace those of the same names.

        Raises:
            ValueError: no such object, or several.
        """
        arrays = _arrays("add_weights", weights)
        parent, name = self._find(object_name)
        parent[name].update(arrays)

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Write what is there now; a file of that name is replaced when the new one is whole.

        Args:
            filepath: a name that ends in ".weights.h5".

        Raises:
            ValueError: another ending.
        """
        path = Path(filepath)
        if not path.name.endswith(_WEIGHTS):
            raise errors.invalid("save", "filepath", "a name that ends in .weights.h5", path.name)
        parts: dict[str, dict[str, np.ndarray]] = {}
        for _, place, value in _walk(self.weights_dict):
            if not isinstance(value, dict):
                part, _, key = place.rpartition("/")
                parts.setdefault(part, {})[key] = value
        with hdf5.replaced(path) as file:
            for part, values in parts.items():
                known = self.object_metadata.get(f"/{part}", {}).get("name")
                name = known or part.rpartition("/")[2]
                hdf5.write(file, "" if part == _ROOT else part, name, values)

    def resave_weights(self, filepath: str | os.PathLike[str]) -> None:
        """The same as `save`."""
        self.save(filepath)

    def _at(self, path: str) -> _Tree:
        tree = self.weights_dict
        for name in path.split("/") if path else ():
            below = tree.get(name)
            if not isinstance(below, dict):
                raise errors.invalid("KerasFileEditor", "path", "one of summary()", path)
            tree = below
        return tree

    def _find(self, name: str) -> tuple[_Tree, str]:
        """Where an object is: what holds it, and its name there."""
        above, _, last = name.strip("/").rpartition("/")
        if above:
            found = [self._at(above)]
        else:
            trees = (value for _, _, value in _walk(self.weights_dict) if isinstance(value, dict))
            found = [tree for tree in (self.weights_dict, *trees) if last in tree]
        found = [tree for tree in found if isinstance(tree.get(last), dict)]
        if not found:
            raise errors.invalid("KerasFileEditor", "object", "one of those of summary()", name)
        if len(found) > 1:
            raise errors.invalid(
                "KerasFileEditor", "object", "one only", name, "It is there more than once: "
                "give its whole path.",
            )  # fmt: skip
        return found[0], last


def _place(path: str) -> tuple[str, int, str]:
    """For sorting: weight 2 comes before weight 10."""
    group, _, key = path.rpartition("/")
    return group, len(key), key


def _put(tree: _Tree, path: str, value: Any) -> None:
    *above, last = path.split("/")
    for name in above:
        tree = tree.setdefault(name, {})
    tree[last] = value


def _walk(tree: _Tree, above: str = "", depth: int = 0) -> Iterator[tuple[int, str, Any]]:
    """All objects and weights below; a file of weights is not deeper than its reader allows."""
    for name, value in tree.items():
        path = f"{above}/{name}" if above else name
        yield depth, path, value
        if isinstance(value, dict):
            yield from _walk(value, path, depth + 1)


def _differences(mine: _Tree, theirs: _Tree, above: str = "") -> tuple[list[str], int]:
    """A line for each object or weight that only one has, or whose shapes differ; the matches."""
    found: list[str] = []
    matches = 0
    for name in dict.fromkeys([*theirs, *mine]):
        path = _shown(f"{above}/{name}")
        a, b = mine.get(name), theirs.get(name)
        if a is None or b is None:
            found.append(f"{path} is only in the {'model' if a is None else 'file'}.")
        elif isinstance(a, dict) and isinstance(b, dict):
            below, matched = _differences(a, b, f"{above}/{name}")
            found += below
            matches += matched
        elif isinstance(a, dict) or isinstance(b, dict):
            found.append(f"{path} is an object in one and a weight in the other.")
        elif tuple(a.shape) != tuple(b.shape):
            found.append(f"{path} has shape {a.shape} in the file, {tuple(b.shape)} in the model.")
        else:
            matches += 1
    return found, matches


def _arrays(owner: str, weights: Any) -> dict[str, np.ndarray]:
    if not isinstance(weights, Mapping):
        raise errors.invalid(owner, "weights", 'a dict such as {"0": kernel, "1": bias}', weights)
    found: dict[str, np.ndarray] = {}
    for name, value in weights.items():
        _check_leaf(owner, "a name in weights", name)
        found[name] = np.asarray(value)
        if kind(found[name].dtype) not in "fib":
            raise errors.invalid(owner, f"weights[{name!r}]", "numbers", found[name].dtype)
    return found


def _check_leaf(owner: str, argument: str, name: Any) -> None:
    if not isinstance(name, str) or not name or "/" in name or name == ".":
        raise errors.invalid(owner, argument, "a name and no path", name)


def _shown(name: str) -> str:
    """A name out of a file, without what would steer the terminal."""
    return name if name.isprintable() else json.dumps(name)
