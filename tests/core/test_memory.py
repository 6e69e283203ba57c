"""What compiled programs took from the system once, they take again without its help."""

import os
import platform
import subprocess
import sys

import pytest

from talweg import layers

FAULTS = """
import resource
from statistics import median
import jax, jax.numpy as jnp
import talweg
from talweg.core.memory import keep_memory
from talweg.layers.windows import by_patches

talweg.layers.Conv2D(8, 3)
keep_memory()
x, kernel = jnp.ones((256, 28, 28, 16)), jnp.ones((3, 3, 16, 8))
program = jax.jit(lambda x, kernel: by_patches(x, kernel, (1, 1), "VALID").sum())

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    program(x, kernel).block_until_ready()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(int(median([faults() for _ in range(15)])))
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")


def _faults(**environment: str) -> int:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    for name in ("GLIBC_TUNABLES", "JAX_DISABLE_MOST_OPTIMIZATIONS"):
        kept.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env={**kept, **environment},
        text=True, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.battery
@glibc
def test_a_program_s_memory_is_kept_between_calls_unless_told_otherwise():
    assert _faults(TALWEG_KEEP_MEMORY="on") < 5_000
    assert _faults(TALWEG_KEEP_MEMORY="off") > 20_000


@glibc
def test_only_convolutions_share_one_heap(monkeypatch):
    """For all else, threads that wait for each other at every small block cost more."""
    from talweg.core import memory

    asked = []
    monkeypatch.setattr(memory, "_set", lambda *options: asked.extend(options) or True)
    memory.share_one_heap.cache_clear()
    layers.LSTM(8), layers.Dense(8), layers.MaxPooling2D()
    assert not asked
    layers.Conv2D(8, 3), layers.ConvLSTM1D(8, 3), layers.SeparableConv1D(8, 3)
    assert asked == [(memory._ARENA_MAX, 1)]
    memory.share_one_heap.cache_clear()


@glibc
@pytest.mark.parametrize(
    "given", [{"MALLOC_ARENA_MAX": "4"}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}]
)
def test_an_environment_that_sets_the_allocator_is_left_alone(monkeypatch, given):
    from talweg.core import memory

    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert memory.share_one_heap.__wrapped__() is False
