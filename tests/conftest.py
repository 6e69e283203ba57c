"""Shared by all tests: Keras on JAX as the reference, a compilation cache each, steady draws."""

import atexit
import collections
import os
import shutil
import signal
import tempfile
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

# A third of the compiling is of programs that a test before compiled. A cache of each process's
# own needs no lock, and none of the looks at all files that a limit of size costs.
_compiled = tempfile.mkdtemp(prefix="talweg-tests-")
atexit.register(shutil.rmtree, _compiled, ignore_errors=True)
jax.config.update("jax_compilation_cache_dir", _compiled)
jax.config.update("jax_compilation_cache_max_size", -1)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


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
