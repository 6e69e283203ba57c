"""Preprocessing layers on the host against what Keras computes with TensorFlow's strings."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import layers, models
from talweg.layers.fingerprints import fingerprint64

RECORD = json.loads((Path(__file__).parents[1] / "goldens" / "preprocessing.json").read_text())
CASES = [pytest.param(case, id=f"{i}-{case['case'][0]}") for i, case in enumerate(RECORD["cases"])]


def made(case):
    name, arguments, learned, _ = case["case"]
    ngrams = arguments.get("ngrams")
    given = {**arguments, "ngrams": tuple(ngrams)} if isinstance(ngrams, list) else arguments
    layer = getattr(layers, name)(**given, name="it")
    if learned is not None:
        layer.adapt(np.array(learned))
    return layer


def called(layer, case):
    name, _, _, inputs = case["case"]
    return layer(
        tuple(map(np.array, inputs)) if name == "HashedCrossing" else inputs_of(name, inputs)
    )


def inputs_of(name, inputs):
    return np.array(inputs, "float32") if name == "Discretization" else np.array(inputs)


@pytest.mark.parametrize("case", CASES)
def test_outputs_and_vocabularies_are_those_of_keras(case):
    layer = made(case)
    assert list(getattr(layer, "get_vocabulary", list)()) == case["vocabulary"]
    output = called(layer, case)
    wanted = np.array(case["outputs"], case["dtype"])
    assert output.shape == wanted.shape
    assert str(output.dtype) == case["dtype"]
    np.testing.assert_allclose(np.asarray(output), wanted, rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_configs_are_those_of_keras_and_make_an_equal_layer(case):
    layer = made(case)
    mine = json.loads(json.dumps(layer.get_config()))
    theirs = case["config"]
    assert mine.keys() == theirs.keys()
    for key, value in theirs.items():
        if key == "bin_boundaries":
            np.testing.assert_allclose(mine[key], value, rtol=1e-6)
        else:
            assert mine[key] == value, key
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    if hasattr(layer, "set_vocabulary"):
        lookup = getattr(layer, "_lookup_layer", layer)
        again.set_vocabulary(layer.get_vocabulary(), lookup._idf_of_vocabulary())
    np.testing.assert_array_equal(called(again, case), called(layer, case))


def test_fingerprints_are_those_that_tensorflow_publishes():
    assert fingerprint64(b"") == 0x9AE16A3B2F90404F
    found = layers.Hashing(num_bins=3, salt=[133, 137])([["A"], ["B"], ["C"], ["D"], ["E"]])
    assert found.tolist() == [[1], [2], [1], [0], [2]]


STRINGS = [
    lambda: layers.StringLookup(vocabulary=["a"]),
    lambda: layers.TextVectorization(vocabulary=["a"]),
]


MODES = ["int", "one_hot", "multi_hot", "count", "tf_idf"]
SYMBOLIC = [
    *((lambda mode=mode: layers.StringLookup(**of_mode(mode))) for mode in MODES),
    *((lambda mode=mode: layers.TextVectorization(**of_mode(mode))) for mode in MODES[2:]),
    *((lambda mode=mode: layers.Hashing(3, output_mode=mode)) for mode in MODES[:-1]),
]


def of_mode(mode):
    idf = {"idf_weights": [0.5]} if mode == "tf_idf" else {}
    return {"vocabulary": ["a"], "output_mode": mode, **idf}


@pytest.mark.parametrize("make", SYMBOLIC)
def test_layer_on_symbolic_strings_says_what_it_computes(make):
    layer = make()
    symbolic = layer(layers.Input((1,), dtype="string"))
    computed = layer(np.array([["a"], ["b"]]))
    assert symbolic.dtype == str(computed.dtype)
    assert len(symbolic.shape) == computed.ndim
    assert symbolic.shape[1] in (None, computed.shape[1])


def test_crossing_of_symbolic_strings_says_what_it_computes():
    for mode, shape in (("int", (None, 1)), ("one_hot", (None, 3))):
        layer = layers.HashedCrossing(3, output_mode=mode)
        symbolic = layer([layers.Input((1,), dtype="string") for _ in "ab"])
        computed = layer([np.array([["a"], ["b"]])] * 2)
        assert (symbolic.dtype, symbolic.shape) == (str(computed.dtype), shape)


@pytest.mark.parametrize("make", STRINGS)
def test_layer_of_strings_in_a_program_says_where_to_put_it(make):
    with pytest.raises(TypeError, match="Apply the layer to the data before fit"):
        jax.jit(make())(jnp.zeros((2, 1), "int32"))


@pytest.mark.parametrize("mode", ["int", "one_hot"])
def test_integers_are_hashed_in_a_model_as_they_are_before_it(mode, tmp_path):
    one, other = layers.Input((1,), dtype="int32"), layers.Input((1,), dtype="int32")
    hashing = layers.Hashing(5, output_mode=mode, salt=3, mask_value=0)
    crossing = layers.HashedCrossing(7, output_mode=mode)
    model = models.Model([one, other], [hashing(one), crossing([one, other])])
    a = np.random.default_rng(0).integers(-9, 9, (40, 1))
    model.save(tmp_path / "model.keras")
    for made in (model, models.load_model(tmp_path / "model.keras")):
        hashed, crossed = made.predict([a, a[::-1].copy()], verbose=0)
        np.testing.assert_array_equal(hashed, hashing(a))
        np.testing.assert_array_equal(crossed, crossing([a, a[::-1]]))
    each = jax.vmap(hashing)(jnp.asarray(a)[:, None])
    np.testing.assert_array_equal(each[:, 0], hashing(a))


def test_numbers_with_a_fraction_are_not_crossed():
    crossing = layers.HashedCrossing(3)
    for column in (np.array([1.0, 2.0]), layers.Input((1,))):
        other = layers.Input((1,), dtype="int32") if column.shape != (2,) else np.array([1, 2])
        with pytest.raises(ValueError, match=r"integers or strings, got .*float"):
            crossing([other, column])


@pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_config_may_not_name_a_file(name, tmp_path):
    path = tmp_path / "vocabulary.txt"
    path.write_text("1\n2\n")
    layer = getattr(layers, name)(vocabulary=str(path))
    assert layer.get_config()["vocabulary"] is None
    assert [str(token) for token in layer.get_vocabulary()[-2:]] == ["1", "2"]
    for address in (str(path), "/etc/passwd", "http://example.org/vocabulary.txt"):
        record = layers.serialize(layer)
        record["config"]["vocabulary"] = address
        with pytest.raises(ValueError, match="list of tokens"):
            layers.deserialize(record)
    with pytest.raises(ValueError, match="existing local file"):
        getattr(layers, name)(vocabulary="http://example.org/vocabulary.txt")
    with pytest.raises(ValueError, match="existing local file"):
        getattr(layers, name)(vocabulary=str(tmp_path / "missing.txt"))


def test_vocabulary_goes_to_a_folder_and_back(tmp_path):
    layer = layers.TextVectorization(output_mode="tf_idf")
    layer.adapt(["a b b", "a c"])
    store = {}
    layer.save_assets(str(tmp_path))
    layer.save_own_variables(store)
    again = layers.TextVectorization.from_config(layer.get_config())
    again.load_own_variables(store)
    again.load_assets(str(tmp_path))
    np.testing.assert_array_equal(again(["a a q"]), layer(["a a q"]))


@pytest.mark.parametrize("mode", ["int", "multi_hot", "count"])
@pytest.mark.parametrize("more", [{}, {"num_oov_indices": 3}, {"mask_token": 5}])
def test_integer_lookup_is_the_same_in_a_compiled_model(mode, more):
    layer = layers.IntegerLookup(vocabulary=[7, -2, 9], output_mode=mode, **more)
    x = np.array([[7, 9, 5, -2], [100, -7, 7, 7]], np.int32)
    inputs = layers.Input((4,), dtype="int32")
    model = models.Model(inputs, layer(inputs))
    np.testing.assert_array_equal(model.predict(x, verbose=0), layer(x))
    assert model.output_shape == (None, *layer(x).shape[1:])


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
@pytest.mark.parametrize("shape", [(6,), (6, 1), (3, 2), (2, 3, 4), ()])
def test_category_encoding_is_that_of_keras(mode, shape):
    x = np.random.default_rng(0).integers(0, 5, shape).astype(np.int32)
    ours = layers.CategoryEncoding(5, mode, name="it")
    theirs = keras.layers.CategoryEncoding(5, mode, name="it")
    wanted = np.asarray(theirs(x))
    for output in (ours(x), jax.jit(ours)(x)):
        np.testing.assert_array_equal(output, wanted)
        assert output.dtype == wanted.dtype
    assert ours.get_config() == theirs.get_config()
    if shape and len(shape) < 3:
        assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)
        assert layers.Input(batch_shape=(None, *shape[1:]), dtype="int32") is not None
    if mode == "count" and shape:
        weights = np.random.default_rng(1).random(shape).astype(np.float32)
        np.testing.assert_allclose(ours(x, weights), theirs(x, count_weights=weights), rtol=1e-6)


def test_category_outside_the_range_is_refused_where_keras_gives_zeros():
    with pytest.raises(ValueError, match=r"in 0 … 4, got 5"):
        layers.CategoryEncoding(5)(np.array([[1, 5]]))
    with pytest.raises(ValueError, match=r"got -1"):
        layers.CategoryEncoding(5)(np.array([[1, -1]]))


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot", "count"])
def test_discretization_with_given_boundaries_is_that_of_keras(mode):
    arguments = {"bin_boundaries": [-0.5, 0.0, 1.25], "output_mode": mode, "name": "it"}
    ours, theirs = layers.Discretization(**arguments), keras.layers.Discretization(**arguments)
    x = np.array([[-1.0, -0.5, 0.2], [1.25, 9.0, 0.0]], np.float32)
    for output in (ours(x), jax.jit(ours)(x)):
        np.testing.assert_array_equal(output, theirs(x))
        assert str(output.dtype) == str(theirs(x).dtype)
    assert ours.get_config() == theirs.get_config()
    inputs = layers.Input((3,))
    model = models.Model(inputs, ours(inputs))
    np.testing.assert_array_equal(model.predict(x, verbose=0), ours(x))


def test_layers_work_in_a_data_pipeline_that_fit_takes():
    from talweg import utils

    texts = np.array(["good film", "bad film", "good good", "bad bad"] * 4, dtype=object)
    y = np.array([1.0, 0.0, 1.0, 0.0] * 4, np.float32)
    vectors = layers.TextVectorization(output_mode="multi_hot")
    vectors.adapt(texts)

    class Batches(utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            rows = slice(4 * i, 4 * i + 4)
            return vectors(texts[rows]), y[rows, None]

    model = models.Sequential([layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    history = model.fit(Batches(), epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.StringLookup(vocabulary=["a", "a"]), "repeated"),
        (lambda: layers.StringLookup(vocabulary=[]), "not empty"),
        (lambda: layers.StringLookup(max_tokens=1), "max_tokens"),
        (lambda: layers.StringLookup(invert=True, output_mode="count"), "invert"),
        (lambda: layers.StringLookup(output_mode="tf_idf", vocabulary=["a"]), "idf_weights"),
        (lambda: layers.IntegerLookup(salt=3), "farmhash"),
        (lambda: layers.IntegerLookup(sparse=True, output_mode="count"), "dense"),
        (lambda: layers.TextVectorization(split="words"), "split"),
        (lambda: layers.TextVectorization(ragged=True), "rectangular"),
        (lambda: layers.Hashing(0), "num_bins"),
        (lambda: layers.Hashing(4, dtype="float32"), "int32 or int64"),
        (lambda: layers.HashedCrossing(4)([["a"]]), "at least two"),
        (lambda: layers.Discretization(), "not both"),
        (lambda: layers.Discretization([2.0, 1.0]), "ascending"),
        (lambda: layers.CategoryEncoding(), "num_tokens"),
        (lambda: layers.StringLookup(num_oov_indices=0, vocabulary=["a"])(["b"]), "num_oov"),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sequence_length": 50, "sequence_stride": 20, "mag_exp": 1.0, "power_to_db": False},
        {"window": "hamming", "max_freq": 4000, "top_db": 10.0, "ref_power": 2.0},
    ],
)
def test_mel_spectrogram_is_that_of_keras(options):
    """Keras makes the bands in float32; talweg in float64."""
    arguments = {
        "fft_length": 64,
        "sequence_stride": 32,
        "num_mel_bins": 8,
        "name": "it",
        **options,
    }
    ours, theirs = layers.MelSpectrogram(**arguments), keras.layers.MelSpectrogram(**arguments)
    x = np.random.default_rng(0).normal(size=(2, 160)).astype("float32")

    def with_gradient(layer):
        # In one program: Keras's eager transform compiles dozens of small ones.
        return jax.jit(jax.value_and_grad(lambda x: (layer(x).sum(), layer(x)), has_aux=True))(x)

    (_, mine), slope = with_gradient(ours)
    (_, other), theirs_slope = with_gradient(theirs)
    np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(slope, theirs_slope, rtol=1e-2, atol=1e-2)
    for shape in ((2, 160), (160,), (None, None)):
        wanted = tuple(theirs.compute_output_shape(shape))
        assert tuple(ours.compute_output_shape(shape)) == wanted
    assert tuple(ours.compute_output_shape(x.shape)) == mine.shape
    config = ours.get_config()
    assert config == theirs.get_config()
    np.testing.assert_array_equal(layers.MelSpectrogram.from_config(config)(x), ours(x))
    inputs = layers.Input((160,))
    assert ours(inputs).shape == (None, *ours(x).shape[1:])
    half = layers.MelSpectrogram(**{**arguments, "dtype": "mixed_bfloat16"})
    assert half(x).dtype == "bfloat16"


@pytest.mark.sampled
@pytest.mark.parametrize("mode", ["psd", "magnitude"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_spectra_of_power_are_those_of_keras(mode, data_format):
    """Sums of squares in another order: less exact than the battery asks for."""
    options = {"padding": "same", "scaling": "spectrum", "periodic": True, "expand_dims": True}
    arguments = {"mode": mode, "frame_length": 12, "frame_step": 5, **options}
    arguments["data_format"] = data_format
    ours, theirs = layers.STFTSpectrogram(**arguments), keras.layers.STFTSpectrogram(**arguments)
    x = (
        np.random.default_rng(0)
        .normal(size=(2, 64, 64 if data_format == "channels_first" else 2))
        .astype("float32")
    )
    assert theirs(x[:1]).shape[1:] == ours(x[:1]).shape[1:]

    def with_gradient(layer):
        return jax.jit(
            jax.value_and_grad(lambda x: ((layer(x) ** 2).sum(), layer(x)), has_aux=True)
        )(x)

    (_, mine), slope = with_gradient(ours)
    (_, other), theirs_slope = with_gradient(theirs)
    np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(slope, theirs_slope, rtol=1e-3, atol=1e-4)
