"""FeatureSpace against what Keras recorded, on all kinds of data."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import talweg
from goldens import feature_space_cases as cases
from talweg.utils import FeatureSpace

GOLDENS = Path(__file__).parents[1] / "goldens"
*RECORDED, OF_MODEL = json.loads((GOLDENS / "feature_space.json").read_text())["cases"]


def adapted(builder="all_kinds", mode="concat"):
    space = getattr(cases, builder)(FeatureSpace, mode)
    space.adapt(table(space))
    return space


def table(space, source=cases.DATA):
    return {name: source[name] for name in space.features}


def agree(ours, theirs):
    if "dtype" not in theirs:
        assert sorted(ours) == sorted(theirs)
        for name in theirs:
            agree(ours[name], theirs[name])
        return
    # JAX keeps 32 bits of Keras's 64.
    assert str(ours.dtype) == theirs["dtype"].replace("int64", "int32")
    np.testing.assert_allclose(ours, np.array(theirs["value"]), rtol=1e-6, atol=1e-6)


def without_counts(config):
    """A config without what counts objects in Keras's process."""
    if isinstance(config, dict):
        return {k: without_counts(v) for k, v in config.items() if k != "shared_object_id"}
    return [without_counts(v) for v in config] if isinstance(config, list) else config


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: f"{case['builder']}-{case['mode']}")
def test_outputs_and_config_are_those_of_keras(case):
    space = adapted(case["builder"], case["mode"])
    agree(space(table(space)), case["outputs"])
    agree(space(table(space, cases.UNSEEN)), case["unseen"])
    agree(space({name: values[0] for name, values in table(space).items()}), case["first"])
    ours = json.loads(json.dumps(space.get_config()))
    theirs = without_counts(case["config"])
    for config in (ours, theirs):
        for feature in config["features"].values():
            # Which rows a layer has seen first is no part of what it is.
            feature["config"]["preprocessor"].pop("build_config")
    assert without_counts(ours) == theirs


def test_the_file_of_keras_opens_with_equal_outputs():
    space = talweg.models.load_model(GOLDENS / "feature_space.keras")
    agree(space(cases.UNSEEN), RECORDED[0]["unseen"])


@pytest.mark.parametrize(("builder", "mode"), cases.CASES)
def test_a_space_comes_back_from_its_file(builder, mode, tmp_path):
    space = adapted(builder, mode)
    space.save(tmp_path / "space.keras")
    again = talweg.models.load_model(tmp_path / "space.keras")
    for name, theirs in dict_of(space(cases.UNSEEN)).items():
        np.testing.assert_array_equal(dict_of(again(cases.UNSEEN))[name], theirs)


def dict_of(outputs):
    return outputs if isinstance(outputs, dict) else {"all": outputs}


def test_tables_of_all_forms_give_the_same():
    space, frame = adapted(), pd.DataFrame(cases.DATA)
    expected = np.asarray(space(cases.DATA))
    np.testing.assert_array_equal(space(frame), expected)
    np.testing.assert_array_equal(space(frame.assign(target=1)), expected)
    batches = [
        ({name: values[i : i + 2] for name, values in cases.DATA.items()}, None) for i in (0, 2)
    ]
    other = cases.all_kinds(FeatureSpace, "concat")
    other.adapt(batches)
    np.testing.assert_allclose(other(cases.DATA), expected, atol=1e-6)


def test_a_model_starts_at_the_encoded_features():
    space = adapted()
    encoded = space.get_encoded_features()
    assert encoded.shape == (None, *space(cases.DATA).shape[1:])
    model = talweg.Model(encoded, talweg.layers.Dense(1)(encoded))
    model.compile("sgd", "mse")
    model.fit(space(cases.DATA), np.ones((4, 1)), verbose=0)
    assert model.predict(space(cases.UNSEEN), verbose=0).shape == (2, 1)
    assert space.get_inputs()["colour"].dtype == "string"


def columns_of(space, source=cases.UNSEEN):
    return {name: np.array(source[name])[:, None] for name in space.features}


def test_the_model_of_keras_opens_with_the_layers_of_its_columns():
    model = talweg.models.load_model(GOLDENS / "feature_space_model.keras")
    space = adapted("numbers")
    agree(model.predict(columns_of(space), verbose=0), OF_MODEL["model"])
    agree(space(table(space, cases.UNSEEN)), OF_MODEL["model"])


@pytest.mark.parametrize("mode", ["concat", "dict"])
def test_a_model_takes_columns_of_numbers_before_and_after_its_file(mode, tmp_path):
    space = adapted("numbers", mode)
    space.save(tmp_path / "space.keras")
    again = talweg.models.load_model(tmp_path / "space.keras")
    expected = dict_of(space(table(space, cases.UNSEEN)))
    model = talweg.Model(space.get_inputs(), space.get_encoded_features())
    model.save(tmp_path / "model.keras")
    for made in (
        model,
        talweg.models.load_model(tmp_path / "model.keras"),
        talweg.Model(again.get_inputs(), again.get_encoded_features()),
    ):
        got = dict_of(made.predict(columns_of(space), verbose=0))
        for name, theirs in expected.items():
            np.testing.assert_allclose(got[name], theirs, atol=1e-6)


def test_a_space_encodes_the_batches_of_a_data_set():
    data = talweg.data.Dataset.from_tensor_slices((cases.DATA, [0, 1, 0, 1])).batch(3)
    space = cases.all_kinds(FeatureSpace, "concat")
    space.adapt(data.map(lambda x, y: x))
    encoded = data.map(lambda x, y: (space(x), y))
    whole = np.concatenate([x for x, y in encoded])
    np.testing.assert_array_equal(whole, space(cases.DATA))
    model = talweg.models.Sequential([talweg.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(encoded, verbose=0).history["loss"][0])


def test_a_layer_of_ones_own_encodes_a_column():
    layer = talweg.layers.TextVectorization(output_mode="tf_idf")
    feature = FeatureSpace.feature("string", layer, "float")
    space = FeatureSpace({"text": feature, "area": "float"})
    space.adapt({"text": ["a b", "b c"], "area": [1, 2]})
    assert space({"text": ["a b", "c"], "area": [1, 2]}).shape == (2, 1 + layer.vocabulary_size())


def test_given_bins_need_no_data():
    space = FeatureSpace({"x": FeatureSpace.float_discretized(None, [0.0, 1.0])})
    assert space({"x": [-1.0, 0.5, 2.0]}).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({},), "not empty"),
        (({"x": "flaot"},), "Did you mean 'float'"),
        (({"x": "float"}, "list"), "output_mode must be"),
        (({"x": "float"}, "concat", [("x", "y")]), "feature in a cross 'y'"),
    ],
)
def test_impossible_specifications_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FeatureSpace(*arguments)


def test_impossible_uses_are_refused():
    space = FeatureSpace({"x": "float_normalized"})
    with pytest.raises(ValueError, match=r"Call adapt\(data\) first"):
        space({"x": [1.0]})
    with pytest.raises(ValueError, match="one with 'x'"):
        space.adapt({"y": [1.0]})
    with pytest.raises(TypeError, match="dict of columns"):
        space.adapt([1.0, 2.0])
    ints = FeatureSpace({"x": FeatureSpace.integer_hashed(3, output_mode="int")})
    with pytest.raises(ValueError, match="output_mode='dict'"):
        ints({"x": [1, 2]})
