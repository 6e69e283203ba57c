"""Folders that callbacks write into."""

import tempfile
from pathlib import Path


def make_writable(folder: Path, owner: str) -> None:
    """Make the folder where it is missing, and try to write into it before hours are spent.

    Args:
        folder: where files are to be.
        owner: the callback, for the message.

    Raises:
        OSError: it cannot be made, or nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise type(error)(f"{owner}: nothing can be written to {folder} ({error}).") from error
