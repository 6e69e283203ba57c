"""The import hook: `keras` and `tensorflow`, and all below, are facades over talweg."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import talweg
from talweg.compat import names, old_ways
from talweg.compat.facade import ROOTS, Facade, canonical, exists, look_up, missing


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules under ROOTS, before any that is installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a facade; None for what is not Keras's or TensorFlow's.

        Raises:
            ImportError: a name below them that talweg lacks.
        """
        root, _, below = fullname.partition(".")
        if root not in ROOTS:
            return None
        if exists(fullname):
            return importlib.machinery.ModuleSpec(fullname, self, origin="talweg", is_package=True)
        parent, _, name = fullname.rpartition(".")
        try:
            look_up(parent, name)
        except LookupError:
            kind = ModuleNotFoundError if "." not in below else ImportError
            raise kind(missing(parent, name), name="talweg", path="talweg") from None
        raise ModuleNotFoundError(
            f"{fullname} is no module. Write: from {parent} import {name}", name="talweg"
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """An empty facade."""
        return Facade(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Say what the module stands for."""
        path = canonical(module.__name__)
        module.__doc__ = f"talweg under the name of {path}."
        if path in names.VERSIONS:
            vars(module)["__version__"] = f"{names.VERSIONS[path]}+talweg{talweg.__version__}"

    def invalidate_caches(self) -> None:
        """Nothing is cached."""


_finder = Finder()


def install() -> None:
    """Let `import keras` and `import tensorflow` resolve to talweg, in this process.

    Call it before anything imports them. Installed copies of Keras and TensorFlow are
    never imported. With it come old ways of writing: `SGD(decay=…)`, `array.numpy()`, and
    errors that say what took the place of `model.predict_classes` and the like.

    Raises:
        RuntimeError: the real Keras or TensorFlow is imported already.
    """
    if _finder in sys.meta_path:
        return
    real = [root for root in ROOTS if not isinstance(sys.modules.get(root, _facade), Facade)]
    if real:
        raise RuntimeError(
            f"talweg.compat.install: {real[0]} is imported already. Call install() first."
        )
    sys.meta_path.insert(0, _finder)
    old_ways.enable()


def uninstall() -> None:
    """Undo `install`: later imports find what is installed; modules in hand stay usable."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
        old_ways.disable()
        for name in [name for name, module in sys.modules.items() if isinstance(module, Facade)]:
            del sys.modules[name]


_facade: Any = Facade("none")
