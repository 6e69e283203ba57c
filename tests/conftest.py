"""Shared by all tests: Keras on JAX as the reference, one compilation cache, steady draws."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import pytest

hypothesis.settings.register_profile(
    "talweg",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("talweg")

_cache = os.environ.get("TALWEG_TEST_CACHE", "/tmp/talweg-test-cache")
jax.config.update("jax_compilation_cache_dir", _cache)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(autouse=True)
def _fresh_names_and_seed():
    from talweg.core import names, random

    names.reset()
    random.set_random_seed(0)
