"""What the CIFAR sets share: pickled batches of rows of 3 x 32 x 32 bytes."""

import os
from typing import Any

import numpy as np

from talweg.core import config
from talweg.data.download import get_file
from talweg.datasets.stored import read_pickle

_ORIGIN = "https://www.cs.toronto.edu/~kriz/"


def batches(
    name: str, digest: str, inner: str, files: list[str], labels: str
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels (n, 1) of some files of an archive.

    Args:
        name: the archive's stem.
        digest: its hash.
        inner: the folder in it.
        files: the batches in it.
        labels: the entry that holds the labels.
    """
    folder = get_file(
        f"{inner}-target", origin=f"{_ORIGIN}{name}.tar.gz", extract=True, file_hash=digest
    )
    parts = [_batch(os.path.join(folder, inner, file), labels.encode()) for file in files]
    x = np.concatenate([pictures for pictures, _ in parts]).reshape(-1, 3, 32, 32)
    y = np.concatenate([numbers for _, numbers in parts])[:, None]
    if config.image_data_format() == "channels_last":
        x = x.transpose(0, 2, 3, 1)
    return x, y


def _batch(path: str, labels: bytes) -> tuple[Any, np.ndarray]:
    with open(path, "rb") as file:
        content = read_pickle(file, path)
    return np.asarray(content[b"data"]), np.array(content[labels], dtype="uint8")
