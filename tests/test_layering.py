"""The row rule of the architecture: import only from rows below, never sideways."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "talweg"

ROWS = (
    {"core"},
    {"ops"},
    {
        "initializers", "regularizers", "constraints", "activations", "losses", "metrics",
        "schedules",
    },
    {"optimizers", "layers", "data", "callbacks"},
    {"training", "datasets", "preprocessing"},
    {"models"},
    {"search", "monitor", "adapters", "distribution", "export", "saving"},
    {"cli", "compat", "testing"},
    {"__main__", "__init__"},
)  # fmt: skip
ROW = {package: row for row, packages in enumerate(ROWS) for package in packages}
# Modules beside the packages that gather public names; together they are one package,
# between models and what is built of models.
FACADE = 5.5
FILES = sorted(SOURCE.rglob("*.py"))
# Model.save and its like may call upward, when they are called.
DOOR = "models/files.py"


def room_of(path):
    """The package of talweg that a file lies in; "" for the facades."""
    name = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return name if name in ROW else ""


def packages_in(names):
    return {name.split(".")[1] for name in names if name.startswith("talweg.")}


def imported_by(tree):
    """The names of talweg's packages and modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= packages_in(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            if node.module == "talweg":
                found |= {alias.name for alias in node.names}
            else:
                found |= packages_in([node.module])
    return found


def is_definition(node):
    return isinstance(node, (ast.FunctionDef, ast.ClassDef))


def violations(room, imported):
    """What a file of `room` must not import."""
    row = ROW.get(room, FACADE)
    return sorted(
        name for name in imported if name != room and ROW.get(name, FACADE) >= row
        and not (room == "" and name not in ROW)
    )  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file_imports_from_rows_below_only(path):
    tree = ast.parse(path.read_text())
    imported = imported_by(tree)
    if str(path.relative_to(SOURCE)) == DOOR:
        outside = ast.Module([node for node in tree.body if not is_definition(node)], [])
        assert not {"export", "saving"} & imported_by(outside)
        imported -= {"export", "saving"}
    assert not violations(room_of(path), imported)


def test_every_package_has_a_row():
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages <= set(ROW), f"give {packages - set(ROW)} a row"


@pytest.mark.parametrize(
    ("room", "line", "bad"),
    [
        ("layers", "from talweg.optimizers import SGD", ["optimizers"]),
        ("losses", "import talweg.metrics", ["metrics"]),
        ("training", "from talweg import models", ["models"]),
        ("models", "def f():\n    from talweg.search import compare", ["search"]),
        ("core", "from talweg import Variable", ["Variable"]),
        ("", "from talweg.search import compare", ["search"]),
        ("", "from talweg import backend, layers", []),
        ("search", "from talweg import utils, models", []),
        ("models", "from talweg.models.model import Model\nfrom talweg.core import errors", []),
    ],
)
def test_rule_finds_what_breaks_it(room, line, bad):
    assert violations(room, imported_by(ast.parse(line))) == bad
