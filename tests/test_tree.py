"""talweg.tree does what keras.tree does."""

from collections import OrderedDict, defaultdict, deque, namedtuple

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talweg import tree

Point = namedtuple("Point", "x y")
STRUCTURES = [
    1,
    None,
    [],
    {},
    (),
    [1, (2, None), {"b": 3, "a": [4]}],
    {"b": 1, "a": {"d": None, "c": (2,)}},
    OrderedDict([("b", 1), ("a", 2)]),
    Point(1, [2, 3]),
    deque([1, deque([2])]),
    {2: "x", 1: "y"},
    defaultdict(list, {"k": [1]}),
]
LEAVES = st.none() | st.integers() | st.text(max_size=2)
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_every_name_of_keras_tree_is_here():
    assert [name for name in dir(keras.tree) if not name.startswith("_")] == tree.__all__


def agree(name, *args, **kwargs):
    """The result of both, which must be equal in value and kind; errors alike."""
    try:
        theirs = getattr(keras.tree, name)(*args, **kwargs)
    except ValueError:
        with pytest.raises(ValueError, match=name):
            getattr(tree, name)(*args, **kwargs)
        return
    ours = getattr(tree, name)(*args, **kwargs)
    assert ours == theirs
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_functions_of_one_structure(structure):
    agree("is_nested", structure)
    agree("flatten", structure)
    agree("flatten_with_path", structure)
    agree("lists_to_tuples", structure)
    agree("map_structure", lambda leaf: (leaf,), structure)
    agree("map_structure", lambda leaf: leaf or 7, structure, none_is_leaf=False)
    agree("pack_sequence_as", structure, list(range(len(tree.flatten(structure)))))
    agree("pack_sequence_as", structure, [0] * 9)


@given(NESTED)
def test_functions_of_any_structure(structure):
    agree("flatten_with_path", structure)
    agree("map_structure", lambda leaf: [leaf], structure)
    agree("lists_to_tuples", structure)
    assert tree.pack_sequence_as(structure, tree.flatten(structure)) == structure


@given(NESTED, NESTED)
def test_functions_of_two_structures(a, b):
    agree("assert_same_structure", a, b)
    agree("assert_same_paths", a, b)
    agree("map_structure", lambda x, y: (x, y), a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1, 2], (1, 2)),
        ({"a": 1}, OrderedDict(a=1)),
        ({"a": 1}, {"b": 1}),
        (Point(1, 2), (1, 2)),
        ([1], [[1]]),
        ([[1]], [1]),
        (deque([1]), [1]),
    ],
)
def test_what_counts_as_the_same_structure(a, b):
    agree("assert_same_structure", a, b)
    agree("assert_same_paths", a, b)


def test_the_shallow_structure_says_how_deep_to_go():
    agree("map_structure_up_to", [0, {"a": 0}], lambda x: x, [[1, 2], {"a": (3,)}])
    agree("map_structure_up_to", [0, [0]], lambda x: x, [1, 2])
    agree("map_structure_up_to", [0], lambda x, y: (x, y), [[1]], [2])


def test_shapes_are_leaves():
    agree("map_shape_structure", len, {"a": (None, 3), "b": [(2,), ()], "c": [[1, 2], [3]]})


def test_traverse_replaces_from_above_or_from_below():
    structure = [1, [2, [3, None]], {"a": 4}]

    def double(part):
        return part * 2 if isinstance(part, int) else None

    agree("traverse", double, structure)
    agree("traverse", double, structure, top_down=False)
    agree("traverse", lambda part: tuple(part) if isinstance(part, list) else None, structure)
    agree("traverse", lambda p: sum(p) if p == [1, 2] else None, [[1, 2], [3]], top_down=False)
    theirs = keras.tree.traverse(lambda part: keras.tree.MAP_TO_NONE if part == 1 else None, [1, 2])
    assert tree.traverse(lambda p: tree.MAP_TO_NONE if p == 1 else None, [1, 2]) == theirs
