"""config.json, read without trust: what it may say before anything is made of it.

Only classes that are talweg's, or that the user registered or passed, can be named.
Nothing is imported, nothing is executed, and no file or address in a config is opened.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from talweg.core.dtypes import POLICIES
from talweg.core.serialization import catalog_of, find_function, get_registered_object
from talweg.layers import Layer
from talweg.layers.lambda_layer import is_name
from talweg.models.operations import find as find_operation
from talweg.saving.damage import DamagedFile

LARGEST = 32 << 20
_DEEPEST = 200
_MOST_OBJECTS, _MOST_VALUES = 200_000, 2_000_000
_TAGS = {
    "__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__slice__", "__ellipsis__",
    "__tuple__", *POLICIES,
}  # fmt: skip
# Arguments that Keras's layers also accept as the path of a file.
_FILES = ("vocabulary", "idf_weights", "filepath", "feature_space")
_DTYPES = {
    "float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8",
    "uint16", "uint32", "uint64", "bool",
}  # fmt: skip


def parse(text: bytes, name: str, nan: bool = False) -> dict[str, Any]:
    """The JSON object in `text`.

    Args:
        text: as it stands in the file.
        name: what messages call it.
        nan: whether NaN may be in it.

    Raises:
        DamagedFile: no JSON object; too long or too deep; a key twice; NaN.
    """
    if len(text) > LARGEST:
        raise DamagedFile(f"{name} has {len(text)} bytes, more than {LARGEST}.")
    # A value of Python takes many times the space of its text.
    objects = text.count(b"[") + text.count(b"{")
    if objects > _MOST_OBJECTS or objects + text.count(b",") > _MOST_VALUES:
        raise DamagedFile(
            f"{name} holds more values than a config may: {_MOST_OBJECTS} lists and objects, "
            f"{_MOST_VALUES} values."
        )

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands there twice")
        return found

    def constant(word: str) -> float:
        if word == "NaN" and not nan:
            raise ValueError("NaN is no value of a config")
        return float(word)

    try:
        record = json.loads(text.decode("utf-8"), object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise DamagedFile(f"{name} cannot be read: {reason}.") from error
    if not isinstance(record, dict):
        raise DamagedFile(f"{name} must hold a JSON object, not {type(record).__name__}.")
    return record


def vet(config: Mapping[str, Any], name: str) -> None:
    """Refuse a config that names what may not be named. Custom objects must be in scope.

    Raises:
        DamagedFile: an unknown class or function, code, a file to open, a name that is a path.
    """
    for record in _records(config, name):
        class_name, inner = record["class_name"], record["config"]
        if not isinstance(class_name, str):
            raise DamagedFile(f"{name}: a class is named by {class_name!r}, which is no name.")
        if class_name in _TAGS:
            if class_name in ("__tensor__", "__numpy__"):
                _vet_array(inner, name)
            continue
        _vet_class(record, class_name, inner, name)


def _records(config: Any, name: str) -> Iterator[Mapping[str, Any]]:
    """All records in a config; without recursion, so that depth cannot hurt."""
    stack = [(config, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > _DEEPEST:
            raise DamagedFile(f"{name} is nested more than {_DEEPEST} deep.")
        if isinstance(value, Mapping):
            if "class_name" in value and "config" in value:
                yield value
            stack.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            stack.extend((item, depth + 1) for item in value)


def _vet_array(inner: Any, name: str) -> None:
    if not isinstance(inner, Mapping) or str(inner.get("dtype")) not in _DTYPES:
        raise DamagedFile(f"{name}: an array in it has no type that arrays have.")


def _vet_class(record: Mapping[str, Any], class_name: str, inner: Any, name: str) -> None:
    if class_name == "__lambda__":
        raise DamagedFile(
            f"{name} holds the code of a lambda. Code is never taken from a file: define the "
            "function as a layer of your own and register it."
        )
    module = str(record.get("module"))
    if class_name == "function":
        known = _custom(inner, record.get("registered_name")) or _is_function(module, inner)
        if not known:
            raise _unknown("function", inner, module, name)
        return
    custom = _custom(record.get("registered_name"), class_name)
    named = isinstance(inner, Mapping) and is_name(inner.get("function"))
    if class_name == "Lambda" and custom is None and not named:
        raise DamagedFile(
            f"{name} holds a Lambda layer, whose function would have to come out of the file as "
            "code. Define the function with def and @register_keras_serializable(), or write a "
            "Layer subclass."
        )
    if custom is None:
        found = _own_class(module, class_name) or find_operation(module, class_name)
        if found is None:
            raise _unknown("class", class_name, module, name)
        if isinstance(inner, Mapping):
            for key in _FILES:
                if isinstance(inner.get(key), str):
                    raise DamagedFile(
                        f"{name}: {class_name} wants its {key} from {inner[key]!r}. A model file "
                        "cannot have other files opened: pass the list itself."
                    )
    else:
        found = custom
    if isinstance(inner, Mapping):
        is_layer = isinstance(found, type) and issubclass(found, Layer)
        _vet_name(inner.get("name"), name, is_layer)
    _vet_name(record.get("name"), name, True)


def _vet_name(given: Any, name: str, strict: bool) -> None:
    if given is None:
        return
    bad = not isinstance(given, str) or "\0" in given or len(given) > 1000
    if bad or (strict and ("/" in given or "\\" in given or given in (".", ".."))):
        raise DamagedFile(f"{name}: {given!r} cannot be the name of a layer.")


def _custom(*names: Any) -> Any:
    for known in names:
        if isinstance(known, str):
            found = get_registered_object(known)
            if found is not None:
                return found
    return None


def _own_class(module: str, class_name: str) -> Any:
    catalog = catalog_of(module)
    if catalog is None:
        return None
    return catalog.recorded_class(class_name)


def _is_function(module: str, named: Any) -> bool:
    return isinstance(named, str) and find_function(module, named) is not None


def _unknown(kind: str, named: Any, module: str, name: str) -> DamagedFile:
    return DamagedFile(
        f"{name} asks for the {kind} {named!r} of {module!r}, which talweg does not know. "
        "If it is yours, register it with @register_keras_serializable() or pass "
        "custom_objects={...}; nothing is ever imported for a file."
    )
