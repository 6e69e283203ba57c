"""Objects to records and back: `get_config`, identifiers, custom objects.

A record is what Keras writes: module, class_name, config, registered_name. The module is
the public path in Keras's own namespace ("keras.layers"), so that records move both
ways. Reading never imports anything: a class is found in a `Catalog` (the packages of
talweg) or among the objects the user registered, or it is refused.

Longer than other files: what is written and what may be read are one law, to be seen at once.
"""

import collections
import contextlib
import inspect
import types
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import jax
import numpy as np

from talweg.core import errors
from talweg.core.dtypes import POLICIES, DTypePolicy
from talweg.core.names import to_snake_case

_registered: dict[str, Any] = {}
_scoped: ContextVar[Mapping[str, Any]] = ContextVar(
    "talweg_custom_objects", default=types.MappingProxyType({})
)
_catalogs: dict[str, "Catalog"] = {}


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Decorator: let files and configs name this class or function as `package>name`."""

    def register(target: Any) -> Any:
        if inspect.isclass(target) and not hasattr(target, "get_config"):
            raise errors.invalid(
                "register_keras_serializable", target.__name__, "a class with get_config()", target
            )
        _registered[f"{package}>{name or target.__name__}"] = target
        return target

    return register


def get_registered_name(obj: Any) -> str:
    """The name under which `obj` was registered, or its own."""
    # A user's model with a graph beneath has a class of its own, which stands for the user's.
    obj = vars(obj).get("_stands_for", obj) if inspect.isclass(obj) else obj
    for name, registered in _registered.items():
        if registered is obj:
            return name
    return obj.__name__


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """What the user registered or put in scope under `name`; None where there is nothing."""
    for known in (custom_objects or {}, _scoped.get(), _registered):
        if name in known:
            return known[name]
    return None


@contextlib.contextmanager
def custom_object_scope(*custom_objects: Mapping[str, Any] | None) -> Generator[None]:
    """Let names resolve to the user's own classes and functions until the block ends."""
    merged = dict(_scoped.get())
    for objects in custom_objects:
        merged.update(objects or {})
    token = _scoped.set(merged)
    try:
        yield
    finally:
        _scoped.reset(token)


CustomObjectScope = custom_object_scope


class Catalog:
    """The objects of one package of talweg, found by identifier.

    There is no hand-kept table: the catalog reads the package's own exports, so a class
    that is exported can be named. Names are matched without regard to case and
    underscores: "SparseCategoricalCrossentropy", "sparse_categorical_crossentropy".

    Args:
        kind: the noun for messages, for example "optimizer".
        namespace: the package's `globals()`.
        base: what its classes derive from.
        aliases: short names ("mse") to exported names.
        module: the path of the package in Keras's namespace, where it is not
            "keras." and the package's name.
        only_classes: whether its functions are left out, so that no record can name them.
    """

    def __init__(
        self,
        kind: str,
        namespace: Mapping[str, Any],
        base: type,
        aliases: Mapping[str, str] | None = None,
        module: str | None = None,
        only_classes: bool = False,
    ):
        self.kind = kind
        self.only_classes = only_classes
        self.namespace = namespace
        self.base = base
        self.aliases = dict(aliases or {})
        self.package = str(namespace["__name__"])
        self.module = module or "keras." + self.package.rpartition(".")[2]
        _catalogs[self.module] = self

    def classes(self) -> dict[str, type]:
        """Exported classes by name, the base itself left out."""
        return {
            name: target
            for name, target in self._exports()
            if inspect.isclass(target) and issubclass(target, self.base) and target is not self.base
        }

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Exported functions by name."""
        if self.only_classes:
            return {}
        infrastructure = ("get", "serialize", "deserialize")
        return {
            name: target
            for name, target in self._exports()
            if inspect.isfunction(target) and name not in infrastructure
        }

    def _exports(self) -> Iterable[tuple[str, Any]]:
        return ((name, self.namespace[name]) for name in self.namespace["__all__"])

    def find(self, identifier: str) -> Any:
        """The exported class or function that `identifier` names.

        Functions win over classes for snake-case names, as in Keras.
        """
        custom = get_registered_object(identifier)
        if custom is not None:
            return custom
        name = self.aliases.get(identifier, self.aliases.get(identifier.lower(), identifier))
        functions = self.functions()
        if name in functions:
            return functions[name]
        by_key: dict[str, Any] = {}
        for known, target in [*functions.items(), *self.classes().items()]:
            by_key[_key(known)] = target
        if _key(name) in by_key:
            return by_key[_key(name)]
        known = [*functions, *map(to_snake_case, self.classes()), *self.aliases]
        raise errors.unknown(self.kind, identifier, known)

    def get(self, identifier: Any) -> Any:
        """An object from an identifier: None, a name, a record, a class, or the object."""
        if identifier is None:
            return None
        if isinstance(identifier, Mapping):
            return self.deserialize(identifier)
        found = self.find(identifier) if isinstance(identifier, str) else identifier
        if inspect.isclass(found):
            return self._made(found, identifier)
        if callable(found) or isinstance(found, self.base):
            return found
        raise errors.wrong_type(
            self.kind, "the identifier", "a name, a config, a class or an object", identifier
        )

    def _made(self, found: type, identifier: Any) -> Any:
        """An object of a class with its defaults."""
        parameters = inspect.signature(found).parameters.values()
        needed = [
            p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        if needed:
            raise errors.invalid(
                self.kind, "the identifier", "one whose class needs no arguments", identifier,
                f"Make the object: {found.__name__}({', '.join(f'{name}=…' for name in needed)}).",
            )  # fmt: skip
        return found()

    def _recorded(self, name: str) -> Any:
        """What a record names: also an exported class that no identifier names."""
        exported = dict(self._exports()).get(name)
        return exported if hasattr(exported, "from_config") else self.find(name)

    def recorded_class(self, name: str) -> Any:
        """The class that a record names, by its exact name; None where there is none."""
        exported = dict(self._exports()).get(name)
        return exported if inspect.isclass(exported) else None

    def serialize(self, target: Any) -> Any:
        """The record of an object, or the name of an exported function."""
        return serialize_keras_object(target)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The object that a record or a name describes."""
        if isinstance(config, str):
            with custom_object_scope(custom_objects):
                return self.find(config)
        if isinstance(config, Mapping) and isinstance(config.get("class_name"), str):
            with custom_object_scope(custom_objects):
                other = catalog_of(config.get("module"))
                if other not in (None, self) and config["class_name"] in other.classes():
                    return other.deserialize(config)  # a layer as activation, for example
                found = get_registered_object(str(config.get("registered_name")))
                is_function = config["class_name"] == "function"
                name = config["config" if is_function else "class_name"]
                target = found or self._recorded(name)
                return _from_config(target, config.get("config", {}), config)
        raise errors.wrong_type(self.kind, "the config", "a name or a record", config)


def _key(name: str) -> str:
    return name.replace("_", "").lower()


def _from_config(target: Any, config: Any, record: Mapping[str, Any]) -> Any:
    if not inspect.isclass(target):
        return target
    shared, number = _shared.get(), record.get("shared_object_id")
    if shared is not None and (target, number) in shared:
        return shared[target, number]
    from_config = getattr(target, "from_config", None)
    if from_config is None:
        raise errors.invalid(target.__name__, "the class", "one with from_config()", target)
    made = from_config(config)
    if record.get("build_config") and _builds_its_own_way(target):
        made.build_from_config(record["build_config"])
    if shared is not None and number is not None:
        shared[target, number] = made
    if record.get("compile_config") and _compiling.get() and hasattr(made, "compile_from_config"):
        made.compile_from_config(record["compile_config"])
    return made


def _builds_its_own_way(cls: type) -> bool:
    # A model builds talweg's layers when it calls them; of others only they know how.
    build = getattr(cls, "build_from_config", None)
    return build is not None and not str(build.__module__).startswith("talweg.")


# What has been written, by its id, and held, so that no other object gets that id.
_numbered: ContextVar[dict[int, Any] | None] = ContextVar("talweg_numbered", default=None)


def with_shared(make: Callable[[], Any]) -> Any:
    """The record that `make` writes, where objects that stand in it twice have a number.

    It is their `shared_object_id` in all places. Keras leaves it out in the first, so of what its
    files share the first stays alone.
    """
    if _numbered.get() is not None:  # in a record of more
        return make()
    known: dict[int, Any] = {}
    token = _numbered.set(known)
    try:
        record = make()
    finally:
        _numbered.reset(token)
    found = [r for r in _records(record) if "shared_object_id" in r]
    counts = collections.Counter(r["shared_object_id"] for r in found)
    for single in found:
        if counts[single["shared_object_id"]] == 1:
            del single["shared_object_id"]
    return record


def _records(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    if isinstance(tree, (dict, list, tuple)):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from _records(item)


# Objects by their class and number in the file that is being read.
_shared: ContextVar[dict[tuple[Any, Any], Any] | None] = ContextVar("talweg_shared", default=None)


# Whether models inside what is read are compiled as their records say.
_compiling: ContextVar[bool] = ContextVar("talweg_compiling", default=False)


@contextlib.contextmanager
def of_one_file(compiling: bool) -> Generator[None]:
    """While records with the same `shared_object_id` give the same object.

    Args:
        compiling: whether models among them are compiled as they say.
    """
    tokens = _shared.set({}), _compiling.set(compiling)
    try:
        yield
    finally:
        _shared.reset(tokens[0])
        _compiling.reset(tokens[1])


def catalog_of(module: Any) -> Catalog | None:
    """The catalog that a record's module means: "keras.layers", also "keras.src.layers.core…"."""
    parts = str(module).replace("keras.src.", "keras.").split(".")
    if parts[0] not in ("keras", "tf_keras"):
        return None
    if parts[1:2] == ["models"]:
        parts = parts[:1]
    parts[0] = "keras"
    for length in (len(parts), 3, 2):
        found = _catalogs.get(".".join(parts[:length]))
        if found is not None:
            return found
    return None


def find_function(module: Any, name: str) -> Any:
    """An exported function; Keras writes its own without their module."""
    catalog = catalog_of(module)
    places = [catalog] if catalog is not None else list(_catalogs.values())
    if catalog is None and module not in (None, "None", "builtins"):
        return None
    return next((c.functions()[name] for c in places if name in c.functions()), None)


def public_module(cls: type) -> str | None:
    """The path under which Keras knows a class of talweg: "keras.layers"; None for others."""
    parts = cls.__module__.split(".")
    if parts[0] != "talweg":
        return None
    package = f"talweg.{parts[1]}"
    found = [c.module for c in _catalogs.values() if c.package == package]
    exported = (c.module for c in _catalogs.values() if c.recorded_class(cls.__name__) is cls)
    return found[0] if found else next(exported, "keras")


def serialize_keras_object(obj: Any) -> Any:
    """The JSON-ready record of an object, recursively.

    Numbers, strings, lists and dicts stay what they are; objects with `get_config`
    become records; exported functions become their names.
    """
    if obj is None or isinstance(obj, (bool, int, float, str)):
        return obj
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(item) for item in obj]
        return items if isinstance(obj, list) else {
            "class_name": "__tuple__", "items": items
        }  # fmt: skip
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, (np.ndarray, jax.Array)):
        kind = "__numpy__" if isinstance(obj, np.ndarray) else "__tensor__"
        value = {"value": np.asarray(obj).tolist(), "dtype": str(obj.dtype)}
        return {"class_name": kind, "config": value}
    if isinstance(obj, slice):
        ends = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return {"class_name": "__slice__", "config": ends}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, DTypePolicy):
        return obj.record()
    if hasattr(obj, "get_config"):
        if hasattr(obj, "unwritable"):
            raise TypeError(obj.unwritable)
        cls = type(obj)
        module, class_name = vars(cls).get("recorded_as") or (public_module(cls), cls.__name__)
        registered = None if module else get_registered_name(cls)
        if "recorded_as" in vars(cls):
            registered = class_name
        config = _written(obj.get_config())
        record = _record(module or cls.__module__, class_name, config, registered)
        known = _numbered.get()
        if known is not None:
            known.setdefault(id(obj), (len(known) + 1, obj))
            record["shared_object_id"] = known[id(obj)][0]
            compiled = obj.compile_record() if hasattr(obj, "compile_record") else None
            if compiled is not None:  # a model, wherever it stands
                record["compile_config"] = compiled
        return record
    if isinstance(obj, Mapping):
        return {key: serialize_keras_object(item) for key, item in obj.items()}
    if isinstance(obj, types.FunctionType) or callable(obj):
        name = getattr(obj, "__name__", None)
        for catalog in _catalogs.values():
            if name in catalog.functions() and catalog.functions()[name] is obj:
                return name
        registered = get_registered_name(obj)
        return _record("builtins", "function", registered, registered)
    raise errors.wrong_type("serialize", "the object", "serializable", obj)


def named_function(function: Any) -> dict[str, Any]:
    """The record of a function by its name, also of talweg's own, as Keras writes it in a Lambda.

    Raises:
        ValueError: it is a lambda, or what else has no name, or the name is another's.
    """
    name = get_registered_name(function) if hasattr(function, "__name__") else "<lambda>"
    if name == "<lambda>":
        raise errors.invalid("serialize", "a function", "one that has a name", function)
    known = get_registered_object(name) or find_function(None, name)
    if known not in (None, function):
        raise errors.invalid(
            "serialize", f"the name {name}", "of this function only", known, "Register it."
        )
    return _record("builtins", "function", name, "function")


def _written(config: Any) -> Any:
    """A config with records in the place of objects, which a class of the user's may leave in."""
    if config is None or isinstance(config, (bool, int, float, str)):
        return config
    if isinstance(config, (list, tuple)):
        return type(config)(map(_written, config)) if type(config) in (list, tuple) else config
    if isinstance(config, Mapping):
        return {key: _written(value) for key, value in config.items()}
    return serialize_keras_object(config)


def _record(module: str, class_name: str, config: Any, registered: str | None) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": registered,
    }


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """The object that a record describes, recursively; the inverse of the above.

    Raises:
        ValueError: the record names a class that is neither talweg's nor registered.
    """
    if config is None or isinstance(config, (bool, int, float, str)):
        return config
    if isinstance(config, (list, tuple)):
        return [deserialize_keras_object(item, custom_objects) for item in config]
    if not isinstance(config, Mapping):
        return config
    class_name = config.get("class_name")
    if class_name is None:
        return {k: deserialize_keras_object(v, custom_objects) for k, v in config.items()}
    if class_name == "__tuple__":
        return tuple(deserialize_keras_object(i, custom_objects) for i in config["items"])
    if class_name in ("__tensor__", "__numpy__"):
        array = np.array(config["config"]["value"], dtype=config["config"]["dtype"])
        return array if class_name == "__numpy__" else jax.numpy.asarray(array)
    if class_name == "__slice__":
        return slice(*(config["config"][end] for end in ("start", "stop", "step")))
    if class_name == "__ellipsis__":
        return Ellipsis
    if class_name == "__bytes__":
        return config["config"]["value"].encode("utf-8")
    if class_name in POLICIES:
        return POLICIES[class_name].from_config(config["config"])
    with custom_object_scope(custom_objects):
        registered = config.get("registered_name") or (
            config["config"] if class_name == "function" else class_name
        )
        found = get_registered_object(str(registered)) or get_registered_object(str(class_name))
        if found is None and class_name == "function":  # so Keras 3.6 told a registered one
            found = get_registered_object(str(config.get("config")))
        if found is not None:
            return _from_config(found, config.get("config", {}), config)
        catalog = catalog_of(config.get("module"))
        if catalog is not None:
            return catalog.deserialize(config)
    if class_name == "function":  # Keras writes its own functions without their module
        function = find_function(config.get("module"), str(config.get("config")))
        if function is not None:
            return function
    raise ValueError(
        f"Unknown class {class_name!r} of module {config.get('module')!r}. If it is yours, "
        "register it with @register_keras_serializable() or pass custom_objects={...}."
    )


def get_custom_objects() -> dict[str, Any]:
    """The table of registered objects; what is put into it can be named."""
    return _registered
