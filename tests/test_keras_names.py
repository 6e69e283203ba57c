"""Every public name of Keras is there in talweg, or left out with a remedy."""

import functools
import inspect
import re
from pathlib import Path

import keras
import pytest

import talweg
from talweg.core.absent import ABSENT, remedy

PAGE = Path(__file__).parents[1] / "docs" / "keras-names.md"


@functools.cache
def public_names():
    """Path -> object, over all of Keras's public modules."""
    found, seen = {}, set()

    def walk(module, path):
        if module.__name__ in seen:
            return
        seen.add(module.__name__)
        for name in sorted(dir(module)):
            value = getattr(module, name)
            if name.startswith("_") or name == "src":
                continue
            if not inspect.ismodule(value):
                found[f"{path}.{name}"] = value
            elif value.__name__.startswith("keras."):
                walk(value, f"{path}.{name}")

    walk(keras, "keras")
    return found


def in_talweg(path):
    """What talweg has under the path; None where it has nothing."""
    found = talweg
    for part in path.split(".")[1:]:
        found = getattr(found, part, None)
    return found


def test_every_name_of_keras_is_there_or_left_out_with_a_remedy():
    names = public_names()
    assert len(names) > 1300
    lost = [path for path in names if in_talweg(path) is None and remedy(path) is None]
    assert not lost, "write them, or list them in core/absent.py and docs/keras-names.md"


def test_nothing_is_listed_as_left_out_that_is_there():
    there = [path for path in public_names() if in_talweg(path) is not None and remedy(path)]
    assert not there


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        (space, name)
        for space, groups in ABSENT.items()
        for words in groups
        for name in words.split()
    ],
)
def test_what_is_listed_exists_in_keras(namespace, name):
    known = public_names()
    if name == "*":
        assert any(path.startswith(f"{namespace}.") for path in known)
    else:
        assert f"{namespace}.{name}" in known


def test_the_page_lists_what_is_left_out():
    rows = {
        tuple(cells)
        for cells in re.findall(
            r"^\| `(keras[\w.]*)` \| (all|`.*`) \| (.*) \|$", PAGE.read_text(), re.M
        )
    }
    expected = {
        (
            namespace,
            "all" if words == "*" else ", ".join(f"`{word}`" for word in words.split()),
            instead.format(name="…"),
        )
        for namespace, groups in ABSENT.items()
        for words, instead in groups.items()
    }
    assert rows == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("layers.RandomHue", r"keras_layer\(keras\.layers\.RandomHue"),
        ("applications", "no trained networks"),
        ("config.set_max_epochs", "epochs="),
    ],
)
def test_asking_for_what_is_left_out_names_the_remedy(path, message):
    module, _, name = f"talweg.{path}".rpartition(".")
    with pytest.raises(AttributeError, match=message):
        getattr(in_talweg(module), name)


def test_asking_for_what_nobody_has_is_the_usual_error():
    with pytest.raises(AttributeError, match=r"module 'talweg\.layers' has no attribute 'Foo'$"):
        _ = talweg.layers.Foo
