"""What opening a file may cost and touch: measured around every hazard that is tried.

A second of processor time (the clock would measure the machine's other work), 64 MB beyond
the memory that was taken before, no module that was not there, no other program, no socket,
no file written outside the temporary folder, none read but the one that was given.
"""

import codecs
import contextlib
import ctypes
import gc
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import jax

SECONDS = 1.0
BYTES = 64 << 20

_FORBIDDEN = (
    "socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork",
    "pty.", "ftplib.", "urllib.", "http.", "smtplib.", "ctypes.dlopen", "shutil.", "pickle.",
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
codecs.lookup("ascii")  # which h5py asks for at its first name
_TEMPORARY = Path(tempfile.gettempdir()).resolve()
_seen: list[str] | None = None
_thread = 0


def _listen(event, arguments):
    """Every file, import, process and socket passes here; only those of the tried call count."""
    if _seen is None or threading.get_ident() != _thread:
        return
    if event == "open":
        path, _, flags = arguments
        inside = isinstance(path, int) or Path(os.fsdecode(path)).resolve().is_relative_to(
            _TEMPORARY
        )
        # JAX keeps what it compiles, here what makes the state of an optimizer.
        inside = inside or str(path).startswith(str(jax.config.jax_compilation_cache_dir))
        if not inside and isinstance(flags, int) and flags & _WRITES:
            _seen.append(f"write {path}")
        elif not inside and not str(path).endswith((".py", ".pyc")):
            _seen.append(f"read {path}")
    elif event.startswith(_FORBIDDEN) and event != "shutil.rmtree":
        _seen.append(event)


sys.addaudithook(_listen)


def _peak():
    """The most memory that this process had since the last reset, and has now, in bytes."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(fields[name].split()[0]) << 10 for name in ("VmHWM", "VmRSS"))


@contextlib.contextmanager
def limited(seconds=SECONDS):
    """Fail where the block takes more time or memory than a file may, or touches anything else."""
    global _seen, _thread
    measures = sys.platform == "linux"
    if measures:
        ctypes.CDLL(None).malloc_trim(0)  # or what was freed before would be taken unnoticed
        Path("/proc/self/clear_refs").write_text("5")
        before = _peak()[1]
    gc.disable()  # whose rounds look at all that the process has
    modules = set(sys.modules)
    _thread, _seen, started = threading.get_ident(), [], time.process_time()
    try:
        yield
    finally:
        took, seen, _seen = time.process_time() - started, _seen, None
        gc.enable()
    grown = _peak()[0] - before if measures else 0
    if "TALWEG_LIMITS" in os.environ:
        print(f"{took:.3f} s, {grown / (1 << 20):.1f} MB")
    seen += [f"import {name}" for name in sorted(sys.modules.keys() - modules)]
    assert not seen, f"it reached out: {seen}"
    assert took < seconds, f"it took {took:.2f} s of processor time"
    assert grown < BYTES, f"it took {grown >> 20} MB more memory"
