"""Shared by all tests: Keras on JAX as the reference, one compilation cache, steady draws."""

import collections
import contextlib
import gc
import os
import signal
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of a run's time is XLA's, compiling small programs once: half as much with its older code
# for fusions and few optimizations. The battery compiles as users do (see the Makefile).
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):  # which has the newer code only
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault(
    "TALWEG_COMPILE_CACHE", str(Path(__file__).parent.parent / ".cache" / "compiled")
)

import hypothesis
import jax
import pytest
from jax._src.lru_cache import LRUCache

# A shell has its jobs in the background ignore Ctrl-C, which tests press.
signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile(
    "talweg",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("talweg")

# A third of the compiling is of programs that a test before compiled, in this process or the next,
# or in an earlier run. Without a limit of size the cache needs no lock and no look at all files.
_COMPILED = Path(__file__).parent.parent / ".cache" / "tests"
jax.config.update("jax_compilation_cache_dir", str(_COMPILED))
jax.config.update("jax_compilation_cache_max_size", -1)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _put(self, key, value):
    """Write an entry at a stroke: JAX without its lock would let others read half of it."""
    with tempfile.NamedTemporaryFile(dir=self.path, delete=False) as file:
        file.write(value)
    os.replace(file.name, self.path / f"{key}-cache")


LRUCache.put = _put


def pytest_sessionstart():
    """Drop the programs of more than three days ago."""
    for entry in _COMPILED.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # the other process has been here
            if time.time() - entry.stat().st_mtime > 3 * 86400:
                entry.unlink()


def pytest_collection_finish():
    """Spare the collector of garbage what all tests share, and most of its rounds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave all but the first cases of a `sampled` test to the battery.

    `@pytest.mark.sampled("name", count=2)`: two for each value of `name`; without names, two in
    all.
    """
    taken = collections.Counter()
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark is not None:
            values = tuple(str(item.callspec.params[name]) for name in mark.args)
            kind = (item.path, item.originalname, *values)
            taken[kind] += 1
            if taken[kind] > mark.kwargs.get("count", 1):
                item.add_marker("battery")


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled():
    """Thousands of small programs would fill the memory of a long run."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _fresh_names_and_seed():
    from talweg.core import names, random

    names.reset()
    random.set_random_seed(0)


@pytest.fixture
def fully_compiled():
    """Programs as users have them: for tests that hold different programs to the same bits."""
    few = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", few)
