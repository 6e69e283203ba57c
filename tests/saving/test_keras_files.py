"""Files that Keras wrote are opened by talweg, and the reverse: same numbers, and on from there."""

import json
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest

import talweg
from talweg.core.serialization import custom_object_scope

RNG = np.random.default_rng(0)

# Keras 3.15 with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def sequential(k):
    return k.Sequential(
        [
            k.layers.Input((6,)),
            k.layers.Dense(5, activation="relu"),
            k.layers.BatchNormalization(),
            k.layers.Dense(4, kernel_regularizer="l2", name="middle"),
            k.layers.Dense(2),
        ],
        name="plain",
    )


def images(k):
    return k.Sequential(
        [
            k.layers.Input((8, 8, 1)),
            k.layers.Conv2D(3, 3, activation="relu"),
            k.layers.MaxPooling2D(),
            k.layers.Flatten(),
            k.layers.Dense(2),
        ]
    )


def functional(k):
    x = k.Input((6,), name="x")
    inner = k.Model(x, k.layers.Dense(3, activation="tanh", name="d")(x), name="inner")
    given = k.Input((6,), name="given")
    shared = k.layers.Dense(3, name="shared")
    both = k.layers.Concatenate()([inner(given), inner(given * 2.0), shared(given)])
    long = k.layers.Dense(3)(k.layers.Dense(3)(k.ops.relu(shared(given) - 0.5)))
    return k.Model(given, k.layers.Dense(2)(k.layers.Concatenate()([both, long / 3.0])), name="f")


def ops(k):
    x = k.Input((6,))
    y = k.layers.Dense(4)(x)
    z = k.ops.concatenate([y[:, :2], k.ops.mean(y, axis=1, keepdims=True)], axis=-1)
    w = k.ops.where(z > 0.0, z, 0.1 * z) + k.ops.reshape(k.ops.softmax(y, axis=-1), (-1, 4))[:, 1:]
    return k.Model(x, k.layers.Dense(2)(-w), name="ops")


def several(k):
    a, b = k.Input((6,), name="a"), k.Input((6,), name="b")
    h = k.layers.Add()([k.layers.Dense(3)(a), k.layers.Dense(3)(b)])
    return k.Model({"a": a, "b": b}, {"p": k.layers.Dense(1)(h), "q": k.layers.Dense(2)(h)})


MODELS = [sequential, images, functional, ops]


def data(make):
    shape = (16, 8, 8, 1) if make is images else (16, 6)
    return RNG.normal(size=shape).astype("float32"), RNG.normal(size=(16, 2)).astype("float32")


def optimizer(k, kind):
    if kind == "schedule":
        return k.optimizers.Adam(k.optimizers.schedules.CosineDecay(0.05, 100))
    return {"adam": k.optimizers.Adam, "momentum": lambda r: k.optimizers.SGD(r, 0.9)}[kind](0.01)


def fit(model, x, y, epochs=2):
    return model.fit(x, y, epochs=epochs, batch_size=8, shuffle=False, verbose=0).history["loss"]


@pytest.mark.sampled(count=3)
@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize(("writer", "reader"), [(keras, talweg), (talweg, keras)])
def test_a_file_of_one_opens_in_the_other_and_training_goes_on_alike(
    tmp_path, make, writer, reader
):
    x, y = data(make)
    kind = {sequential: "adam", images: "momentum", functional: "schedule", ops: "adam"}[make]
    first = make(writer)
    first.compile(optimizer(writer, kind), "mse", metrics=["mae"])
    fit(first, x, y)
    path = str(tmp_path / "m.keras")
    first.save(path)
    second = reader.models.load_model(path)
    np.testing.assert_allclose(
        second.predict(x, verbose=0), first.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    assert len(second.optimizer.variables) == len(first.optimizer.variables)
    for mine, other in zip(second.optimizer.variables, first.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(other.value))
    np.testing.assert_allclose(fit(second, x, y), fit(first, x, y), rtol=1e-4)


@pytest.mark.parametrize(("writer", "reader"), [(keras, talweg), (talweg, keras)])
def test_dicts_of_inputs_and_outputs_keep_their_names(tmp_path, writer, reader):
    x = {"a": RNG.normal(size=(4, 6)).astype("f4"), "b": RNG.normal(size=(4, 6)).astype("f4")}
    first = several(writer)
    path = str(tmp_path / "m.keras")
    first.save(path)
    second = reader.models.load_model(path)
    expected, got = first.predict(x, verbose=0), second.predict(x, verbose=0)
    assert expected.keys() == got.keys()
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-6)


def own_classes(k):
    class Block(k.layers.Layer):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.z = k.layers.Dense(units)
            self.many = [k.layers.Dense(units), k.layers.Dense(units), k.layers.ReLU()]
            self.named = {"k": k.layers.Dense(units)}
            self._private = k.layers.Dense(units)

        def build(self, shape):
            self.w = self.add_weight(shape=(self.units,), initializer="ones", name="w")

        def call(self, x):
            x = self.z(x)
            for layer in self.many:
                x = layer(x)
            return self.named["k"](self._private(x)) + self.w

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    class Own(k.Model):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.blocks = [Block(units), Block(units)]
            self.tower = Block(units)
            self.head = k.layers.Dense(2)
            self._hidden = k.layers.Dense(units)

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return self.head(self.tower(self._hidden(x)))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return {"Block": Block, "Own": Own}


@pytest.mark.sampled
@pytest.mark.parametrize(("writer", "reader"), [(keras, talweg), (talweg, keras)])
def test_a_subclassed_model_with_lists_dicts_and_private_layers(tmp_path, writer, reader):
    x, y = data(sequential)
    first = own_classes(writer)["Own"]()
    first.compile("adam", "mse")
    fit(first, x, y)
    path = str(tmp_path / "m.keras")
    first.save(path)
    second = reader.models.load_model(path, custom_objects=own_classes(reader))
    np.testing.assert_allclose(
        second.predict(x, verbose=0), first.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(fit(second, x, y), fit(first, x, y), rtol=1e-4)


@pytest.mark.parametrize("make", [sequential, functional, ops])
def test_the_configs_are_those_of_keras(make):
    keras.utils.clear_session()
    talweg.backend.clear_session()
    ours, theirs = make(talweg), make(keras)

    def plain(value):
        """Without Keras's numbers of objects and the shapes of layers that make no weights."""
        hidden = ("shared_object_id", "build_config", "compile_config")
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k not in hidden}
        return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value

    ours, theirs = plain(json.loads(json.dumps(ours.get_config()))), plain(theirs.get_config())
    assert [r["config"]["name"] for r in ours["layers"] if r["module"] == "keras.layers"] == [
        r["config"]["name"] for r in theirs["layers"] if r["module"] == "keras.layers"
    ]
    if make is not ops:  # whose operators Keras records by other classes here and there
        assert ours == theirs, [
            (mine, other)
            for mine, other in zip(ours["layers"], theirs["layers"], strict=True)
            if mine != other
        ]


def test_weights_alone_go_both_ways(tmp_path):
    x, _ = data(functional)
    ours, theirs = functional(talweg), functional(keras)
    ours.save_weights(tmp_path / "a.weights.h5")
    theirs.load_weights(str(tmp_path / "a.weights.h5"))
    np.testing.assert_allclose(
        theirs.predict(x, verbose=0), ours.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    other = functional(keras)
    other.save_weights(str(tmp_path / "b.weights.h5"))
    ours.load_weights(tmp_path / "b.weights.h5")
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), other.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["w.h5", "w.hdf5"])
def test_weights_alone_are_written_as_keras_2_did(tmp_path, name):
    x, _ = data(sequential)
    ours, theirs, other = sequential(talweg), sequential(keras), sequential(talweg)
    ours.save_weights(tmp_path / name)
    with h5py.File(tmp_path / name) as file:
        assert "layer_names" in file.attrs
        assert "model_config" not in file.attrs
    other.load_weights(tmp_path / name)
    np.testing.assert_array_equal(other.predict(x, verbose=0), ours.predict(x, verbose=0))
    if name.endswith(".h5"):  # Keras 3 knows no other ending
        theirs.load_weights(str(tmp_path / name))
        np.testing.assert_allclose(
            theirs.predict(x, verbose=0), ours.predict(x, verbose=0), rtol=1e-5, atol=1e-6
        )
    with pytest.raises(ValueError, match="objects_to_skip"):
        ours.save_weights(tmp_path / name, objects_to_skip=ours.layers[:1])


@pytest.mark.sampled
@pytest.mark.parametrize("make", [sequential, images, functional])
def test_a_legacy_h5_file_of_keras_opens(tmp_path, make):
    x, y = data(make)
    theirs = make(keras)
    theirs.compile("adam", "mse")
    fit(theirs, x, y)
    path = str(tmp_path / "m.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.save(path)
    ours = talweg.models.load_model(path)
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(fit(ours, x, y), fit(theirs, x, y), rtol=1e-4)


@pytest.mark.sampled
@pytest.mark.parametrize("make", [sequential, images, functional])
def test_an_h5_file_is_opened_by_keras_and_goes_on_here(tmp_path, make):
    x, y = data(make)
    ours = make(talweg)
    ours.compile("adam", "mse", metrics=["mae"])
    fit(ours, x, y)
    path = str(tmp_path / "m.h5")
    ours.save(path)
    theirs, again = keras.models.load_model(path), talweg.models.load_model(path)
    for other in (theirs, again):
        np.testing.assert_allclose(
            other.predict(x, verbose=0), ours.predict(x, verbose=0), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            other.evaluate(x, y, verbose=0), ours.evaluate(x, y, verbose=0), rtol=1e-5
        )
    # Keras on JAX trains no model from such a file, its own ones neither, without compile().
    np.testing.assert_allclose(fit(again, x, y), fit(ours, x, y), rtol=1e-5)


@pytest.mark.parametrize("frozen", [["base"], ["first"], ["norm"], ["first", "norm"]])
@pytest.mark.parametrize(("writer", "reader"), [(keras, talweg), (talweg, keras), (talweg, talweg)])
def test_an_h5_file_of_a_model_with_frozen_parts_is_read_in_its_order(
    tmp_path, writer, reader, frozen
):
    def transferred(k):
        layers = [
            k.layers.Input((4,)),
            k.layers.Dense(4, name="first"),
            k.layers.BatchNormalization(name="norm"),
            k.layers.Dense(4, name="last"),
        ]
        base = k.Sequential(layers, name="base")
        for name in frozen:
            (base if name == "base" else base.get_layer(name)).trainable = False
        inputs = k.Input((4,))
        return k.Model(inputs, k.layers.Dense(2)(base(inputs)))

    rng = np.random.default_rng(0)
    first = transferred(writer)
    first.set_weights([rng.random(w.shape, "float32") for w in first.get_weights()])
    path = str(tmp_path / "m.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first.save(path)
    second = reader.models.load_model(path, compile=False)
    for stored, read in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(stored, read)
    if reader is talweg:  # Keras mixes up kernels of one shape
        second.get_layer("base").trainable = True
        for layer in second.get_layer("base").layers:
            layer.trainable = True
        second.load_weights(path)
        for stored, read in zip(first.get_weights(), second.get_weights(), strict=True):
            np.testing.assert_array_equal(stored, read)


def test_an_h5_file_may_leave_the_optimizer_out_and_holds_no_subclassed_model(tmp_path):
    model = sequential(talweg)
    model.compile("adam", "mse")
    model.save(tmp_path / "m.hdf5", include_optimizer=False, save_format="h5")
    assert not talweg.models.load_model(tmp_path / "m.hdf5").compiled

    class Mine(talweg.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="keras takes any model"):
        Mine().save(tmp_path / "mine.h5")


@pytest.mark.parametrize("form", [tuple, list])
def test_a_graph_of_several_outputs_comes_back_from_its_config_in_the_same_form(form):
    x = talweg.Input((3,))
    model = talweg.Model(x, form([talweg.layers.Dense(2)(x), talweg.layers.Dense(1)(x)]))
    again = talweg.Model.from_config(model.get_config())
    assert type(again(np.ones((1, 3), "f4"))) is form


def test_a_sequential_model_takes_its_input_from_a_model_at_its_beginning():
    x = talweg.Input((6, 6, 1))
    base = talweg.Model(x, talweg.layers.Conv2D(2, 3)(x))
    model = talweg.Sequential([base, talweg.layers.Flatten(), talweg.layers.Dense(1)])
    assert model.built
    assert model.output_shape == (None, 1)


def test_mixed_precision_keeps_its_policy_and_its_loss_scale(tmp_path):
    talweg.utils.set_random_seed(0)
    model = talweg.Sequential(
        [talweg.layers.Dense(4, dtype="mixed_bfloat16", input_dim=6), talweg.layers.Dense(2)]
    )
    model.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(str(tmp_path / "m.keras"))
    assert theirs.layers[0].dtype_policy.name == "mixed_bfloat16"
    assert talweg.models.load_model(tmp_path / "m.keras").layers[0].compute_dtype == "bfloat16"
    half = talweg.Sequential([talweg.layers.Dense(4, dtype="bfloat16", input_dim=6)])
    half.save(tmp_path / "h.keras")
    again = talweg.models.load_model(tmp_path / "h.keras")
    assert again.weights[0].dtype == "bfloat16"
    for path in (keras.models.load_model(str(tmp_path / "h.keras")), again):
        np.testing.assert_array_equal(
            np.asarray(path.weights[0].value, "f4"), np.asarray(half.weights[0].value, "f4")
        )


def test_a_registered_class_is_found_by_its_package(tmp_path):
    @talweg.saving.register_keras_serializable("mine")
    class Doubled(talweg.layers.Layer):
        def call(self, x):
            return 2 * x

    model = talweg.Sequential([talweg.Input((3,)), Doubled(), talweg.layers.Dense(1)])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert "mine>Doubled" in file.read("config.json").decode()
    assert type(talweg.models.load_model(tmp_path / "m.keras").layers[0]) is Doubled
    talweg.utils.get_custom_objects().pop("mine>Doubled")
    with pytest.raises(ValueError, match="Doubled"):
        talweg.models.load_model(tmp_path / "m.keras")
    with custom_object_scope({"Doubled": Doubled}):
        assert type(talweg.models.load_model(tmp_path / "m.keras").layers[0]) is Doubled


def test_json_describes_a_model_without_its_weights():
    model = functional(talweg)
    again = talweg.models.model_from_json(model.to_json())
    assert again.get_config() == model.get_config()
    theirs = keras.models.model_from_json(model.to_json())
    assert theirs.count_params() == again.count_params()


def test_the_members_of_a_file_are_those_of_keras(tmp_path):
    model = sequential(talweg)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert file.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert all(member.compress_type == 0 for member in file.infolist())
        assert set(json.loads(file.read("metadata.json"))) == {"keras_version", "date_saved"}


def recurrent(k):
    x = k.Input((6,), dtype="int32")
    h = k.layers.Embedding(10, 4)(x)
    h = k.layers.LSTM(3, return_sequences=True)(h)
    h = k.layers.MultiHeadAttention(2, 3)(h, h)
    h = k.layers.Bidirectional(k.layers.GRU(2))(h)
    return k.Model(x, k.layers.Dense(2)(k.layers.Dropout(0.2)(h)))


@pytest.mark.sampled
@pytest.mark.parametrize(("writer", "reader"), [(keras, talweg), (talweg, keras)])
def test_layers_within_layers_have_the_paths_of_keras(tmp_path, writer, reader):
    x = RNG.integers(0, 10, (4, 6))
    first = recurrent(writer)
    first.save(str(tmp_path / "m.keras"))
    second = reader.models.load_model(str(tmp_path / "m.keras"))
    np.testing.assert_allclose(
        second.predict(x, verbose=0), first.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("mode", ["int", "multi_hot", "tf_idf"])
def test_a_vocabulary_that_was_learned_lies_beside_the_config(tmp_path, mode):
    lookup = talweg.layers.IntegerLookup(output_mode=mode)
    lookup.adapt(np.array([[7, 8], [7, 9]]))
    model = talweg.Sequential([talweg.Input((2,), dtype="int32"), lookup])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        assert "assets/layers/integer_lookup/vocabulary.txt" in file.namelist()
    again = talweg.models.load_model(tmp_path / "m.keras")
    x = np.array([[7, 9], [5, 8]], "int32")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.layers[0].get_vocabulary() == lookup.get_vocabulary()


class Doubled(talweg.layers.Layer):
    """Leaves a layer in its config, as Keras allows."""

    def __init__(self, inner, **options):
        super().__init__(**options)
        self.inner = talweg.saving.deserialize_keras_object(inner) if (
            isinstance(inner, dict)
        ) else inner  # fmt: skip

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x) * 2

    def get_config(self):
        return {**super().get_config(), "inner": self.inner}


def test_an_object_that_was_left_in_a_config_becomes_its_record(tmp_path):
    model = talweg.Sequential([talweg.Input((2,)), Doubled(talweg.layers.Dense(3))])
    model.save(tmp_path / "m.keras")
    again = talweg.models.load_model(tmp_path / "m.keras", custom_objects={"Doubled": Doubled})
    x = np.ones((2, 2), "f4")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_registered_function_is_found_as_keras_3_6_told_it():
    @talweg.saving.register_keras_serializable(package="told")
    def cubed(x):
        return x**3

    record = {
        "module": "builtins", "class_name": "function", "config": "told>cubed",
        "registered_name": "function",
    }  # fmt: skip
    assert talweg.saving.deserialize_keras_object(record) is cubed


@pytest.mark.parametrize("library", [talweg, keras])
def test_a_compiled_model_from_a_file_trains_in_blocks(library, tmp_path):
    """Files say `steps_per_execution` 1 where nobody chose it: blocks would be one step long."""
    first = sequential(library)
    first.compile("adam", "mse")
    first.save(tmp_path / "m.keras")
    second = talweg.saving.load_model(tmp_path / "m.keras")
    assert second.steps_per_execution == "auto"
    blocks = []

    class Blocks(talweg.callbacks.Callback):
        def on_block_end(self, step, logs=None):
            blocks.append(step)

    x = RNG.normal(size=(64, 6)).astype("float32")
    second.fit(x, x[:, :2], batch_size=2, verbose=0, callbacks=[Blocks()])
    assert blocks[-1] == 32
    assert len(blocks) < 32


def told_how_to_start(k):
    class Started(k.layers.Layer):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape, start):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer=start)
            self.start = start

        def call(self, inputs):
            return inputs @ self.w

        def get_config(self):
            return {**super().get_config(), "units": self.units}

        def get_build_config(self):
            return {"input_shape": (None, 4), "start": self.start}

        def build_from_config(self, config):
            self.build(config["input_shape"], config["start"])

    return Started


@pytest.mark.parametrize(("writer", "reader"), [(keras, talweg), (talweg, keras), (talweg, talweg)])
def test_a_layer_that_is_built_in_its_own_way_is_built_from_what_it_recorded(
    tmp_path, writer, reader
):
    layer = told_how_to_start(writer)()
    layer.build((None, 4), "random_normal")
    first = writer.Sequential([writer.Input((4,)), layer, writer.layers.Dense(1)])
    first.save(str(tmp_path / "m.keras"))
    again = reader.models.load_model(
        str(tmp_path / "m.keras"), custom_objects={"Started": told_how_to_start(reader)}
    )
    assert again.layers[0].start == "random_normal"
    x = np.ones((2, 4), "f4")
    np.testing.assert_allclose(np.asarray(again(x)), np.asarray(first(x)), rtol=1e-5)


def told_how_it_was_compiled(k):
    @k.saving.register_keras_serializable("told")
    def tenth(y_true, y_pred):
        return k.ops.sum(k.ops.square(y_pred - y_true) / 10.0, axis=1)

    @k.saving.register_keras_serializable("told")
    class Compiled(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = k.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

        def compile(self, optimizer, loss_fn):
            super().compile(optimizer=optimizer, loss=loss_fn)
            self.told = {"optimizer": optimizer, "loss_fn": loss_fn}

        def get_compile_config(self):
            return self.told

        def compile_from_config(self, config):
            self.compile(**{n: k.saving.deserialize_keras_object(c) for n, c in config.items()})

    return Compiled, tenth


@pytest.mark.parametrize(("writer", "reader"), [(keras, talweg), (talweg, keras)])
def test_a_model_that_is_compiled_in_its_own_way_tells_objects(tmp_path, writer, reader):
    Compiled, tenth = told_how_it_was_compiled(writer)
    first, x, y = Compiled(), np.ones((4, 3), "f4"), np.zeros((4, 2), "f4")
    first.compile(writer.optimizers.SGD(0.25), tenth)
    first.fit(x, y, verbose=0)
    first.save(str(tmp_path / "m.keras"))
    _, expected = told_how_it_was_compiled(reader)
    again = reader.models.load_model(str(tmp_path / "m.keras"))
    assert again.told["loss_fn"] is expected
    assert float(np.asarray(again.optimizer.learning_rate)) == 0.25
    np.testing.assert_allclose(
        again.evaluate(x, y, verbose=0), first.evaluate(x, y, verbose=0), rtol=1e-5
    )
