"""Everything that talweg has of Keras takes the arguments that it takes in Keras.

Names, order and defaults are compared; types are talweg's own. `**kwargs` is not compared: in
Keras it takes old names, which `talweg.compat` understands.
"""

import inspect
import re
from pathlib import Path

import keras
import pytest

from test_keras_names import in_talweg, public_names

# What differs, and why. The page docs/keras-names.md says it to readers.
DIFFERENT = {
    "keras.KerasTensor": "an array is dense; what made it is always kept",
    "keras.Sequential": "Keras hides its own arguments, layers, trainable and name, behind *args",
    "keras.Variable": "no layout over devices; a check of what is assigned",
    "keras.layers.TextVectorization": "two arguments of its config that Keras takes by **kwargs",
    "keras.losses.categorical_generalized_cross_entropy": "q is 0.5 where it is not given, as in "
    "the class",
    "keras.optimizers.Optimizer": "learning_rate is 0.001 where it is not given",
    "keras.saving.get_registered_object": "no module_objects: nothing is looked up in modules",
    "keras.saving.load_model": "allow_nan, since NaN in a file is refused otherwise",
    "keras.saving.load_weights": "allow_nan; what Keras takes by **kwargs has its name",
    "keras.saving.save_model": "what Keras takes by **kwargs has its name",
    "keras.saving.save_weights": "what Keras takes by **kwargs has its name",
}
ALSO = {
    "keras.Optimizer": "keras.optimizers.Optimizer",
    "keras.models.Sequential": "keras.Sequential",
    "keras.models.load_model": "keras.saving.load_model",
    "keras.models.save_model": "keras.saving.save_model",
    "keras.utils.get_registered_object": "keras.saving.get_registered_object",
}


def plain(default):
    """(1, 1) and 1 are the same stride; 0.0 and 0 the same number."""
    if isinstance(default, tuple) and default and all(part == default[0] for part in default):
        return plain(default[0])
    return float(default) if isinstance(default, (int, float)) else default


def arguments(target):
    """(name, default) in order; None where Python cannot tell."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    named = [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return [(p.name, repr(plain(p.default))) for p in named]


SHARED = sorted(path for path in public_names() if in_talweg(path) is not None)


def differs(path):
    theirs, ours = public_names()[path], in_talweg(path)
    return callable(theirs) and arguments(theirs) != arguments(ours)


def test_arguments_are_those_of_keras_but_for_the_reasoned_ones():
    found = {path for path in SHARED if differs(path)}
    assert len(SHARED) > 1000
    assert found == set(DIFFERENT) | set(ALSO)


@pytest.mark.parametrize("path", DIFFERENT)
def test_every_difference_stands_on_the_page(path):
    page = (Path(__file__).parents[1] / "docs" / "keras-names.md").read_text()
    row = re.search(rf"^\| `{re.escape(path)}` \| (.*) \|$", page, re.M)
    assert row is not None, f"| `{path}` | {DIFFERENT[path]} |"
    assert row.group(1) == DIFFERENT[path]


def test_callbacks_are_among_what_is_compared():
    names = {f"keras.callbacks.{name}" for name in dir(keras.callbacks) if name[0] != "_"}
    assert names - set(SHARED) == {"keras.callbacks.OrbaxCheckpoint"}
