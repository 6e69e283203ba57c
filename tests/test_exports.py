"""What is public: listed, complete, described."""

import importlib
import inspect
import pkgutil

import pytest

import talweg

PACKAGES = sorted(
    {f"talweg.{module.name}" for module in pkgutil.iter_modules(talweg.__path__)}
    - {"talweg.__main__"}
)
PUBLIC = [
    name for name in ["talweg", *PACKAGES] if hasattr(importlib.import_module(name), "__all__")
]
# Packages of classes with one base each: package, base.
LEAVES = {
    "initializers": "Initializer",
    "regularizers": "Regularizer",
    "constraints": "Constraint",
    "losses": "Loss",
    "metrics": "Metric",
    "schedules": "LearningRateSchedule",
    "optimizers": "Optimizer",
    "layers": "Layer",
    "callbacks": "Callback",
}


def modules_of(package):
    yield importlib.import_module(package)
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        yield importlib.import_module(found.name)


def public_objects():
    for package in PUBLIC:
        module = importlib.import_module(package)
        for name in module.__all__:
            target = getattr(module, name, None)
            if inspect.isclass(target) or inspect.isroutine(target):
                yield f"{package}.{name}", target


def own(target):
    return str(getattr(target, "__module__", "")).startswith("talweg")


OBJECTS = dict(public_objects())
OWN = {name: target for name, target in OBJECTS.items() if own(target)}


@pytest.mark.parametrize("package", PUBLIC)
def test_all_names_exist_and_are_listed_once(package):
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert not [name for name in module.__all__ if not hasattr(module, name)]


@pytest.mark.parametrize("package", LEAVES)
def test_every_class_of_a_leaf_package_is_exported(package):
    public = importlib.import_module(f"talweg.{package}")
    base = getattr(public, LEAVES[package])
    defined = {
        target.__name__: target
        for module in modules_of(f"talweg.{package}")
        for target in vars(module).values()
        if inspect.isclass(target)
        and issubclass(target, base)
        and target.__module__ == module.__name__
        and not target.__name__.startswith("_")
    }
    # A class that others of the package derive from may be there for them only.
    bases = {base.__name__ for target in defined.values() for base in target.__mro__[1:]}
    forgotten = set(defined) - set(public.__all__) - bases
    assert not forgotten, f"add {sorted(forgotten)} to talweg/{package}/__init__.py"


@pytest.mark.parametrize("name", OWN)
def test_public_name_is_described_in_a_sentence(name):
    docstring = inspect.getdoc(OWN[name])
    assert docstring, f"{name} has no docstring"
    first = docstring.split("\n\n")[0]
    assert first.rstrip().endswith((".", ":", "?")), f"{name}: {first!r} is no sentence"
    assert "\n" not in first.strip() or len(first) < 300, f"{name}: one line first, then more"


@pytest.mark.parametrize("name", OWN)
def test_documented_arguments_exist(name):
    target = OWN[name]
    docstring = inspect.getdoc(target) or ""
    if "\nArgs:\n" not in docstring:
        return
    try:
        known = set(inspect.signature(target).parameters)
    except ValueError:
        return
    variadic = {
        p.name for p in inspect.signature(target).parameters.values() if p.kind == p.VAR_KEYWORD
    }
    block = docstring.split("\nArgs:\n")[1].split("\n\n")[0]
    documented = [
        argument.strip().lstrip("*")
        for line in block.splitlines()
        if line.startswith("    ") and not line.startswith("     ") and ":" in line
        for argument in line.split(":")[0].split(",")
    ]
    assert documented, f"{name}: an empty Args"
    unknown = [argument for argument in documented if argument not in known]
    if not variadic:
        assert not unknown, f"{name} documents {unknown}, which are no arguments of it"


@pytest.mark.parametrize("name", OWN)
def test_public_function_is_annotated(name):
    target = OWN[name]
    function = target.__init__ if inspect.isclass(target) else target
    if not inspect.isfunction(function) or not own(function):
        return
    missing = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.annotation is parameter.empty and parameter.name != "self"
    ]
    assert not missing, f"{name}: no type for {missing}"
