"""Which files a folder holds, and of which class they are."""

import os
from typing import Any

import numpy as np

from talweg.core import errors


def check_split(owner: str, fraction: Any, subset: Any, shuffle: bool, seed: Any) -> None:
    """Refuse a split that is incomplete, or whose parts may share files."""
    if fraction and not 0 < fraction < 1:
        raise errors.invalid(owner, "validation_split", "in (0, 1)", fraction)
    if bool(fraction) != bool(subset):
        raise errors.invalid(
            owner, "validation_split and subset", "given together", (fraction, subset)
        )
    if subset not in ("training", "validation", "both", None):
        raise errors.invalid(owner, "subset", "'training', 'validation' or 'both'", subset)
    if fraction and shuffle and seed is None:
        raise errors.invalid(
            owner, "seed", "given with validation_split and shuffle", None,
            "Otherwise the two parts may share files.",
        )  # fmt: skip


def indexed(
    owner: str, directory: Any, labels: Any, endings: tuple[str, ...], names: Any, links: bool
) -> tuple[list[str], np.ndarray, list[str] | None]:
    """Files, the numbers of their classes, and the classes' names."""
    root = os.fspath(directory)
    if not os.path.isdir(root):
        raise FileNotFoundError(f"{owner}: directory must be an existing folder, got {root!r}.")
    if labels != "inferred" if isinstance(labels, str) else False:
        raise errors.invalid(owner, "labels", "'inferred', None or a list", labels)
    if labels is None or not isinstance(labels, str):
        if names is not None:
            raise errors.invalid(owner, "class_names", "None unless labels='inferred'", names)
        files = _files(root, endings, links)
        if labels is None:
            return files, np.zeros(len(files), np.int32), None
        if len(labels) != len(files):
            raise errors.invalid(owner, "labels", f"{len(files)}, one for each file", len(labels))
        return files, np.array(labels), [str(label) for label in sorted(set(labels))]
    found = sorted(
        name for name in os.listdir(root)
        if os.path.isdir(os.path.join(root, name)) and not name.startswith(".")
    )  # fmt: skip
    if names is not None and not set(names) <= set(found):
        raise errors.invalid(owner, "class_names", f"among the folders {found}", names)
    chosen = found if names is None else list(names)
    lists = [_files(os.path.join(root, name), endings, links) for name in chosen]
    numbers = np.repeat(np.arange(len(chosen), dtype=np.int32), list(map(len, lists)))
    return [path for paths in lists for path in paths], numbers, chosen


def _files(folder: str, endings: tuple[str, ...], links: bool) -> list[str]:
    walked = sorted(os.walk(folder, followlinks=links), key=lambda entry: entry[0])
    return [
        os.path.join(root, name)
        for root, _, names in walked
        for name in sorted(names)
        if name.lower().endswith(endings)
    ]
