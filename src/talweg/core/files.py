"""Writing a file so that a good one is never lost to a failed write."""

import contextlib
import os
import secrets
from collections.abc import Generator, Sequence
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """A temporary name beside `path`; what was written there replaces `path` in the end.

    The bytes are on the disk before the name changes. After an error the temporary file is
    removed and `path` is what it was.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    with replacing_all([path]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def replacing_all(paths: Sequence[str | os.PathLike[str]]) -> Generator[list[Path]]:
    """Temporary names beside some paths; what was written there replaces them, in their order.

    Nothing is replaced before the bytes of all are on the disk. After an error the temporary
    files are removed.
    """
    targets = [Path(path) for path in paths]
    temporaries = [
        path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp") for path in targets
    ]
    try:
        yield temporaries
        for temporary in temporaries:
            _sync(temporary)
        for temporary, path in zip(temporaries, targets, strict=True):
            os.replace(temporary, path)
    except BaseException:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
        raise
    # The names themselves are safe once their folders are; not every system can sync a folder.
    for folder in dict.fromkeys(path.parent for path in targets):
        with contextlib.suppress(OSError):
            _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
