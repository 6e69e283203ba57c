"""Modules that wear the names of Keras and TensorFlow over the modules of talweg."""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import talweg
from talweg.compat import names
from talweg.core import serialization
from talweg.core.absent import remedy

ROOTS = ("keras", "tensorflow")
_TENSORFLOW = "talweg.compat.tensorflow"
_NOT_ITS_OWN = {"typing", "collections.abc"}


class Facade(ModuleType):
    """A module without contents of its own: each name is looked up in talweg when asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        try:
            value = look_up(self.__name__, name)
        except LookupError:
            # obj=None keeps Python from adding a guess of its own.
            raise AttributeError(missing(self.__name__, name), name=name, obj=None) from None
        vars(self)[name] = value
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *names_in(canonical(self.__name__))})

    @property
    def __all__(self) -> list[str]:
        return sorted(names_in(canonical(self.__name__)))

    def __repr__(self) -> str:
        return f"<module {self.__name__!r} (talweg {talweg.__version__})>"


def canonical(path: str) -> str:
    """The path of a module after all renamings.

    >>> canonical("tensorflow.python.keras.layers.core")
    'keras.layers'
    """
    while True:
        fitting = [old for old in names.MOVED if path == old or path.startswith(old + ".")]
        if not fitting:
            return path
        old = max(fitting, key=len)
        path = names.MOVED[old] + path[len(old) :]


def exists(path: str) -> bool:
    """Whether `path` is a module, if only the parent of one."""
    return bool(_sources(canonical(path))) or any(old.startswith(path + ".") for old in names.MOVED)


def look_up(path: str, name: str) -> Any:
    """The object called `name` in the module `path`.

    Raises:
        LookupError: talweg has none.
    """
    module = canonical(path)
    renamed = names.RENAMED.get(f"{module}.{name}")
    if renamed is not None:
        source, _, own = renamed.partition(":")
        return getattr(importlib.import_module(source), own)
    for source in _sources(module):
        if name in _public(source):
            return getattr(source, name)
    catalog = serialization._catalogs.get(module)
    if catalog is not None:
        # Keras has its short names in capitals too: mse, MSE.
        alias = catalog.aliases.get(name.lower() if name.isupper() else name)
        if alias is not None:
            return catalog.namespace[alias]
    if exists(f"{path}.{name}"):
        return importlib.import_module(f"{path}.{name}")
    raise LookupError(name)


def names_in(module: str) -> set[str]:
    """All names that the module `module`, a canonical path, answers to."""
    found = {name for source in _sources(module) for name in _public(source)}
    catalog = serialization._catalogs.get(module)
    found.update(catalog.aliases if catalog is not None else ())
    found.update(
        known.removeprefix(module + ".")
        for known in [*names.RENAMED, *_modules()]
        if known.rpartition(".")[0] == module
    )
    return found


def missing(path: str, name: str) -> str:
    """The message for a name that talweg lacks: who was asked, and the nearest name."""
    module = canonical(path)
    wanted = f"{module}.{name}"
    library = "Keras" if module.partition(".")[0] == "keras" else "TensorFlow"
    said = f"{path}.{name}" + (f" (that is, {wanted})" if wanted != f"{path}.{name}" else "")
    message = f"talweg {talweg.__version__}, which stands in for {library} here, has no {said}."
    instead = [known for known in names.INSTEAD if f"{wanted}.".startswith(known + ".")]
    if instead:
        return f"{message} {names.INSTEAD[max(instead, key=len)]}"
    left_out = remedy(wanted)
    if left_out is not None:
        return f"{message} {left_out}"
    return f"{message} {_nearest(module, name)}"


def _nearest(module: str, name: str) -> str:
    here = {known.lower(): known for known in sorted(names_in(module))}
    near = difflib.get_close_matches(name.lower(), here, n=1, cutoff=0.75)
    if near:
        return f"Did you mean {module}.{here[near[0]]}?"
    for other in _modules():
        if name in names_in(other):
            return f"It is {other}.{name}."
    near = difflib.get_close_matches(name.lower(), here, n=1, cutoff=0.0)
    return f"The nearest name there is {here[near[0]]}." if near else ""


@functools.cache
def _sources(module: str) -> tuple[ModuleType, ...]:
    """The modules of talweg that answer for a canonical path, the first to be asked first."""
    root, *parts = module.split(".")
    found: list[ModuleType] = []
    own = _exported(parts) if root == "keras" else _stand_in(parts)
    if own is not None:
        found.append(own)
    return (*found, *map(importlib.import_module, names.ALSO.get(module, ())))


def _exported(parts: list[str]) -> ModuleType | None:
    """The module that talweg exports under a path of names."""
    module: Any = talweg
    for part in parts:
        module = getattr(module, part, None) if part in module.__all__ else None
        if not isinstance(module, ModuleType):
            return None
    return module


def _stand_in(parts: list[str]) -> ModuleType | None:
    """The module of talweg written in the place of one of TensorFlow's."""
    if len(parts) > 1 or any(part.startswith("_") for part in parts):
        return None
    path = ".".join([_TENSORFLOW, *parts])
    return importlib.import_module(path) if importlib.util.find_spec(path) else None


def _public(module: ModuleType) -> list[str]:
    """The names that a module of talweg means to export."""
    if hasattr(module, "__all__"):
        return [
            name for name in module.__all__ if not isinstance(getattr(module, name), ModuleType)
        ]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", None) not in _NOT_ITS_OWN
    ]


def _modules() -> Iterator[str]:
    """The canonical paths of all modules that can be asked."""
    stand_ins = importlib.import_module(_TENSORFLOW)
    yield from ROOTS
    yield from (f"keras.{name}" for name in talweg.__all__ if _exported([name]))
    yield from names.ALSO
    yield from (
        f"tensorflow.{found.name}"
        for found in pkgutil.iter_modules(stand_ins.__path__)
        if not found.name.startswith("_")
    )
