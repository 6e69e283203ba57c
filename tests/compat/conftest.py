"""The import hook around a test, with what other tests imported put aside."""

import sys
import warnings

import pytest

import talweg.compat


def _of_keras(name):
    return name.partition(".")[0] in ("keras", "tensorflow")


@pytest.fixture
def hook():
    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if _of_keras(name)}
    kept = sys.argv[:], sys.path[:], sys.modules["__main__"]
    talweg.compat.install()
    with warnings.catch_warnings():
        yield
    talweg.compat.uninstall()
    sys.argv[:], sys.path[:], sys.modules["__main__"] = kept
    for name in [name for name in sys.modules if _of_keras(name)]:
        del sys.modules[name]
    sys.modules.update(aside)
