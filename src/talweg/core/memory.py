"""Memory that compiled programs take again and again, kept in place of mapped anew.

XLA takes all intermediate results of a program from one block, 74 MB for a training step of a
small CNN. glibc maps a block of more than 32 MB at every call and unmaps it afterwards, so that
every call touches every page for the first time: 40 % of such a step's processor time (51 ms,
then 31; jax 0.10.2, Linux 6.18). TensorFlow and PyTorch take many small blocks and do not pay
this. So the process is told to keep what it has, up to an eighth of the machine's memory, 2 GB at
most. A process so holds two or three times the block of its largest program, since a call may
start before the last one has freed its own. Transparent huge pages gain nearly as much
(GLIBC_TUNABLES=glibc.malloc.hugetlb=1), but must be asked for before the process starts.

A thread's own heap ends at 64 MB: what is larger is mapped all the same. Only in one heap for all
threads it is kept; but there XLA's threads wait for each other at every small block: an update of
500 arrays takes 60 ms for 50, a step of ten dense layers 3.7 for 3.4. So one heap is asked for by
those who take large blocks at every single step: convolutions of large batches (28 x 28, batch
512: 195 ms for 270).

Where the system does not use glibc, nothing happens; nor where TALWEG_KEEP_MEMORY is "off" or the
environment already sets glibc's allocator (`MALLOC_…`, or `glibc.malloc…` in GLIBC_TUNABLES).
"""

import ctypes
import functools
import os
import sys

# Parameters of mallopt, from <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8

_OFF = ("off", "0", "false", "no")


@functools.cache
def share_one_heap() -> bool:
    """Let later threads take memory from the process's one heap; whether that was possible.

    Threads that exist keep theirs: JAX starts its own with its first array, which is that of a
    weight where a model is made first.
    """
    return _set((_ARENA_MAX, 1))


@functools.cache
def keep_memory() -> bool:
    """Keep freed memory for the next program, once per process; whether that was possible."""
    kept = min(_machine_memory() // 8, 2**31 - 1)
    return _set((_MMAP_MAX, 0), (_TRIM_THRESHOLD, kept), (_TOP_PAD, 64 << 20))


def _set(*options: tuple[int, int]) -> bool:
    given = any(name.startswith("MALLOC_") for name in os.environ)
    given = given or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    refused = os.environ.get("TALWEG_KEEP_MEMORY", "").lower() in _OFF
    if given or refused or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    done = [mallopt(option, value) == 1 for option, value in options]
    return all(done)


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
