"""Where programs run, and the cache of compiled ones: what was compiled once is read back.

The cache is JAX's own, put into the user's cache folder, bounded in size and guarded by a
file lock so that parallel processes neither tear nor miss an entry. A damaged entry is
compiled anew. Set TALWEG_COMPILE_CACHE to another folder, or to "off".
"""

import contextlib
import functools
import os
import sys
from collections.abc import Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import jax
import jaxlib.version

# Bytes; the least recently used entries go first. At every new entry JAX looks at all
# files, which takes a tenth of a second for the 30,000 that a gigabyte of small ones are.
_LIMIT = 1 << 28

# Options of `jax.jit` for what runs for seconds at most: XLA's older code for fusions, which it has
# up to jaxlib 0.10, compiles in two thirds of the time and runs a quarter slower.
SHORT_RUN: dict[str, Any] = (
    {"xla_cpu_use_fusion_emitters": False} if jaxlib.version.__version_info__ < (0, 11) else {}
)

# For what runs once: also without the passes that cost most of the compiling.
QUICKLY = {"xla_backend_optimization_level": 0, **SHORT_RUN}

_leaves_here: ContextVar[bool] = ContextVar("talweg_leaves_here", default=False)


@contextlib.contextmanager
def for_any_platform() -> Generator[None]:
    """Until the block ends, what is traced is to run elsewhere: on whatever it is loaded on."""
    token = _leaves_here.set(True)
    try:
        yield
    finally:
        _leaves_here.reset(token)


def leaves_here() -> bool:
    """Whether what is traced now is to run elsewhere, where this Python is not."""
    return _leaves_here.get()


def runs_on_cpu() -> bool:
    """Whether what is traced now runs on this machine's CPU, so that it may be written for it.

    >>> with for_any_platform():
    ...     runs_on_cpu()
    False
    """
    return jax.default_backend() == "cpu" and not _leaves_here.get()


def default_folder() -> Path:
    """The cache folder of this user on this system."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "talweg" / "compiled"


@functools.cache
def use_persistent_cache() -> Path | None:
    """Turn the cache on, once per process, unless the user chose otherwise.

    Returns:
        The folder; None where it is off, cannot be written, or JAX has one already.
    """
    wanted = os.environ.get("TALWEG_COMPILE_CACHE", "")
    if wanted.lower() in ("off", "0", "false", "no"):
        return None
    if jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]
        return None
    folder = Path(wanted).expanduser() if wanted else default_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _LIMIT)
    # Small models compile in less than JAX's default threshold of a second.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    return folder
