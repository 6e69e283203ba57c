"""Folders that callbacks write into: they can be written, and by one process at a time."""

import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

# The locks of this process: the system's are between processes only.
_held: set[Path] = set()


def make_writable(folder: Path, owner: str) -> None:
    """Make the folder where it is missing, and try to write into it before hours are spent.

    Args:
        folder: where files are to be.
        owner: the callback or command, for the message.

    Raises:
        OSError: it cannot be made, or nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise type(error)(f"{owner}: nothing can be written to {folder} ({error}).") from error


class Lock:
    """A file that one process at a time holds, and that may carry a short text.

    The system lets go of it when the process dies, however it dies: nothing is to be cleaned.

    Args:
        path: the file; made where it is missing.
        owner: the callback, for the message.

    Raises:
        BlockingIOError: somebody else holds it.

    >>> lock = Lock(Path(tempfile.mkdtemp()) / "my.lock", "MyCallback")
    >>> lock.release(remove=True)
    """

    def __init__(self, path: Path, owner: str):
        self.path = path.resolve()
        busy = BlockingIOError(
            f"{owner}: {path.parent} is being written by another training that is running now. "
            "Give this one a folder of its own, or end the other."
        )
        if self.path in _held:
            raise busy
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _hold(descriptor)
            except OSError as error:
                os.close(descriptor)
                raise busy from error
            if _is_file(self.path, descriptor):
                break
            os.close(descriptor)  # whoever held it removed it meanwhile
        _held.add(self.path)
        self._descriptor = descriptor
        self._let_go = weakref.finalize(self, _release, self.path, descriptor)

    @property
    def text(self) -> str:
        """What was written into it; at most 1000 bytes."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.read(self._descriptor, 1000).decode("utf-8", errors="replace")

    @text.setter
    def text(self, text: str) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text.encode())
        os.fsync(self._descriptor)

    def release(self, remove: bool = False) -> None:
        """Let go of it; a second time does nothing.

        Args:
            remove: whether the file goes, too.
        """
        if remove and self._let_go.alive:
            self.path.unlink(missing_ok=True)
        self._let_go()


def _release(path: Path, descriptor: int) -> None:
    _held.discard(path)
    os.close(descriptor)


def _is_file(path: Path, descriptor: int) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _hold(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        windows: Any = msvcrt
        windows.locking(descriptor, windows.LK_NBLCK, 1)
    else:
        # Not flock: a child that was forked would go on holding it.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
