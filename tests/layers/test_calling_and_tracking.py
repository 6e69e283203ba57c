"""What Keras's own test files revealed: calling, building, tracking, paths of layers."""

import jax
import keras
import numpy as np
import pandas
import pytest

import talweg
from talweg import layers, ops, random
from talweg.core.variables import Variable
from talweg.models import Model, Sequential
from talweg.ops.keras_tensor import KerasTensor

X = np.ones((4, 3), "float32")


# -- building ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "arguments"),
    [
        (layers.Activation, ("relu",)),
        (layers.Dropout, (0.5,)),
        (layers.Flatten, ()),
        (layers.GaussianNoise, (0.1,)),
    ],
)
def test_the_build_of_a_subclass_of_a_layer_without_weights_runs(base, arguments):
    class Own(base):
        def build(self, input_shape):
            self.seen = input_shape

    assert base(*arguments).built
    layer = Own(*arguments)
    assert not layer.built
    layer(X)
    assert layer.built
    assert layer.seen == (4, 3)


def test_a_weight_made_in_call_is_refused():
    class Bad(layers.Layer):
        def call(self, x):
            self.w = self.add_weight(shape=(), name="w")
            return x * self.w

    with pytest.raises(ValueError, match="made in __init__ or build"):
        Bad()(X)


def test_build_with_several_shapes_takes_them_by_name_or_says_which_is_missing():
    class Two(layers.Layer):
        def build(self, b_shape, a_shape):
            self.shapes = (a_shape, b_shape)

        def call(self, a, b):
            return a

    class Unknown(Two):
        def build(self, a_shape, c_shape):
            pass

    layer = Two()
    layer(X, X[:, :1])
    assert layer.shapes == ((4, 3), (4, 1))
    with pytest.raises(ValueError, match="c_shape"):
        Unknown()(X, X)


def test_trainable_must_be_a_boolean():
    for wrong in ("yes", 1, None):
        with pytest.raises(ValueError, match="trainable"):
            layers.Dense(1, trainable=wrong)


# -- shapes and types ----------------------------------------------------------------


def test_compute_output_shape_of_a_user_stands_in_for_tracing_call():
    class Opaque(layers.Layer):
        def call(self, x):
            raise RuntimeError("must not run")

        def compute_output_shape(self, input_shape):
            return {"a": input_shape, "b": (*input_shape[:-1], 7)}

    out = Opaque().compute_output_spec(KerasTensor((2, 3)))
    assert out["a"].shape == (2, 3)
    assert out["b"].shape == (2, 7)


def test_an_inherited_compute_output_shape_does_not_speak_for_a_new_call():
    class Halved(layers.Dense):
        def call(self, x):
            return super().call(x)[:, :1]

    assert Halved(4)(KerasTensor((None, 3))).shape == (None, 1)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_the_symbolic_type_is_the_type_that_is_computed(dtype):
    for layer in (layers.Dense(2, dtype=dtype), layers.PReLU(dtype=dtype)):
        symbolic = layer(KerasTensor((4, 3), "float32"))
        assert symbolic.dtype == str(layer(X).dtype) == dtype.removeprefix("mixed_")


def test_a_mixed_precision_layer_sees_its_weights_in_the_compute_type():
    class Seen(layers.Layer):
        def build(self, input_shape):
            self.v = self.add_weight(shape=(), name="v")
            self.kept = self.add_weight(shape=(), name="kept", autocast=False)

        def call(self, x):
            self.types = (self.v.dtype, self.kept.dtype)
            return x

    layer = Seen(dtype="mixed_float16")
    layer(X)
    assert layer.types == ("float16", "float32")
    assert layer.v.dtype == "float32"
    layer.dtype_policy = "float32"
    assert layer.compute_dtype == "float32"


def test_reshape_knows_its_shape_where_the_input_does_not():
    assert layers.Reshape((3, 5))(layers.Input(batch_shape=(2, None))).shape == (2, 3, 5)


def test_input_refuses_what_contradicts_its_tensor():
    tensor = KerasTensor((2, 3), "float32")
    for wrong in ({"shape": (4,)}, {"batch_shape": (2, 4)}, {"batch_size": 5}, {"dtype": "int32"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            layers.InputLayer(input_tensor=tensor, **wrong)
    layer = layers.InputLayer(shape=(3,), batch_size=2, dtype="float32", input_tensor=tensor)
    assert layer.batch_shape == (2, 3)


def test_softmax_refuses_a_mask_that_is_larger_than_the_input():
    for shape in ((2, 3), (1, 1, 3)):
        with pytest.raises(ValueError, match="mask"):
            layers.Softmax()(X[:1], mask=np.ones(shape, bool))


def test_an_activation_set_to_none_is_linear():
    dense = layers.Dense(2, activation="relu", kernel_initializer="ones")
    dense.activation = None
    assert dense(-X).tolist() == [[-3.0, -3.0]] * 4
    convolution = layers.Conv1D(2, 1, activation="relu", kernel_initializer="ones")
    convolution.activation = None
    assert float(convolution(-X[None]).max()) == -3.0


def test_given_moments_of_normalization_have_the_shape_of_the_axes_kept():
    layer = layers.Normalization(axis=-1, mean=5.0, variance=1.0)
    layer.build((3, 7))
    assert layer.mean.shape == (1, 7)


# -- tracking ------------------------------------------------------------------------


def test_freezing_freezes_the_variables_and_keeps_the_order_of_the_weights():
    layer = layers.Dense(2)
    layer.build((None, 3))
    order = [v.path for v in layer.weights]
    layer.kernel.trainable = False
    assert [v.path for v in layer.weights] == order
    assert layer.trainable_weights == [layer.bias]
    layer.trainable = False
    assert not layer.bias.trainable
    assert layer.trainable_weights == []
    layer.trainable = True
    assert [v.path for v in layer.trainable_weights] == order


def test_layers_know_the_metrics_inside_them():
    class Counting(layers.Layer):
        def __init__(self, inner=None):
            super().__init__()
            self.seen = talweg.metrics.Mean(name="seen")
            self.inner = inner

    assert len(Counting(Counting()).metrics) == 2
    assert len(Counting(Counting()).metrics_variables) == 4


def test_add_variable_is_add_weight():
    layer = layers.Layer()
    assert isinstance(layer.add_variable((2,), "ones", name="v"), Variable)
    assert [v.shape for v in layer.weights] == [(2,)]


# -- noise ---------------------------------------------------------------------------


def test_noise_without_a_seed_is_refused_inside_a_compiled_step_and_drawn_outside():
    class Noisy(layers.Layer):
        def call(self, x):
            return x + random.normal(ops.shape(x))

    layer = Noisy()
    assert not np.array_equal(layer(X), layer(X))
    with pytest.raises(ValueError, match="SeedGenerator"):
        jax.jit(lambda: random.normal((2,)))()
    model = Sequential([layers.Input((3,)), Noisy(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="SeedGenerator"):
        model.fit(X, X[:, :1], verbose=0)


# -- models --------------------------------------------------------------------------


def _stacks(k):
    layers, stack = k.layers, k.models.Sequential

    def nested():
        inner = stack([layers.Dense(4), layers.Dense(5)], name="inner")
        return stack([layers.Input((3,)), inner, layers.Dense(1)])

    def added():
        model = stack()
        for layer in (layers.Input((3,)), layers.Dense(4), layers.BatchNormalization()):
            model.add(layer)
        return model

    def deferred():
        model = stack([layers.Dense(4), layers.BatchNormalization(), layers.Dense(1)])
        model(X)
        return model

    def nested_first():
        return stack([stack([layers.Input((3,)), layers.Dense(4)]), layers.Dense(1)])

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.rest = layers.Dense(2), [layers.Dense(3)]

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(), name="scale")

        def call(self, x):
            return self.rest[0](self.first(x)) * self.scale

    class Whole(k.models.Model):
        def __init__(self):
            super().__init__()
            self.block, self.head = Block(), layers.Dense(1)
            self.noise = layers.Dropout(0.5, seed=1)

        def call(self, x):
            return self.noise(self.head(self.block(x)))

    def fitted():
        model = Whole()
        model.compile("sgd", "mse")
        model.fit(X, X[:, :1], verbose=0)
        return model

    return nested, added, deferred, nested_first, fitted


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize("case", range(5))
def test_paths_and_order_of_variables_are_those_of_keras(case):
    paths = []
    for k in (keras, talweg):
        k.backend.clear_session()
        model = _stacks(k)[case]()
        paths.append([[v.path for v in list_] for list_ in (model.weights, model.variables)])
    assert paths[0] == paths[1]


def test_the_summary_knows_the_shapes_of_layers_without_weights():
    model = Sequential(
        [layers.Input((2, 3)), layers.Flatten(), layers.Dropout(0.5), layers.Activation("relu")]
    )
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "?" not in lines[0]
    assert lines[0].count("(None, 6)") == 3


def test_a_model_without_trainable_weights_can_be_fitted():
    model = Sequential([layers.Input((3,)), layers.Rescaling(2.0)])
    model.compile("adam", "mse")
    loss = model.fit(X, X, epochs=2, verbose=0).history["loss"]
    assert loss == [1.0, 1.0]
    frozen = Sequential([layers.Input((3,)), layers.Dense(1, trainable=False)])
    frozen.compile("adam", "mse")
    before = frozen.get_weights()
    frozen.fit(X, X[:, :1], verbose=0)
    assert np.array_equal(before[0], frozen.get_weights()[0])


def test_batches_of_other_lengths_are_checked_against_their_own_outputs():
    def batches():
        for length in (12, 20):
            yield np.ones((1, length, 2), "float32"), np.zeros((1, length // 4, 8), "float32")

    model = Sequential([layers.Reshape((-1, 8))])
    model.compile(loss="mse")
    assert model.fit(batches(), steps_per_epoch=2, verbose=0).history["loss"] == [1.0]


def test_sequential_takes_dicts_and_lists_and_layers_of_unknown_shape():
    class Same(layers.Layer):
        def call(self, inputs):
            return inputs

    class Unknown(Same):
        def compute_output_spec(self, *args, **kwargs):
            raise NotImplementedError

    assert set(Sequential([Same()])({"a": X, "b": X})) == {"a", "b"}
    assert isinstance(Sequential([Same()])([X, X]), list)
    assert Sequential([Unknown()])(X).shape == (4, 3)


def test_sequential_refuses_a_second_shape_and_a_call_without_layers():
    with pytest.raises(ValueError, match="no layers"):
        Sequential()(X)
    model = Sequential([layers.Input((2,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="shape"):
        model.build((3, 4))
    model.build((3, 2))


def test_a_sequential_model_comes_back_from_its_record_also_nested():
    inner = Sequential([layers.Dense(2, activation=layers.ReLU(name="mine"))], name="inner")
    model = Sequential([layers.Input((3,)), inner, layers.Dense(1)])
    record = talweg.utils.serialize_keras_object(model)
    assert record["module"] == "keras"
    back = talweg.utils.deserialize_keras_object(record)
    assert isinstance(back, Model)
    assert back.get_config() == model.get_config()
    assert back.layers[0].layers[0].activation.name == "mine"


def test_functions_come_back_from_the_records_that_keras_writes():
    for name in ("relu", "mean_squared_error"):
        owner = {"relu": "activations", "mean_squared_error": "losses"}[name]
        record = keras.saving.serialize_keras_object(getattr(getattr(keras, owner), name))
        found = talweg.utils.deserialize_keras_object(record)
        assert found is getattr(getattr(talweg, owner), name)


def test_labels_and_norms_of_jax_arrays_are_jax_arrays():
    for make in (talweg.utils.to_categorical, talweg.utils.normalize):
        given = np.array([[1, 2], [2, 0]])
        assert isinstance(make(given), np.ndarray)
        assert isinstance(make(jax.numpy.asarray(given)), jax.Array)
        np.testing.assert_allclose(make(given), make(jax.numpy.asarray(given)), rtol=1e-6)


def test_a_loss_may_divide_by_norms_and_count_classes():
    vectors, numbers = np.array([[3.0, 4.0], [0.0, 0.0]], "f4"), np.array([[0], [2]])
    theirs = np.asarray(keras.utils.normalize(jax.numpy.asarray(vectors), axis=1))
    ours = jax.jit(lambda x: talweg.utils.normalize(x, axis=1))(vectors)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    slopes = jax.grad(lambda x: talweg.utils.normalize(x, axis=1).sum())(jax.numpy.asarray(vectors))
    assert np.isfinite(slopes).all()
    rows = jax.jit(lambda x: talweg.utils.to_categorical(x, 3))(numbers)
    np.testing.assert_array_equal(rows, keras.utils.to_categorical(numbers, 3))
    inputs = talweg.Input((2,))
    model = talweg.Model(inputs, talweg.utils.normalize(inputs, axis=1))
    np.testing.assert_allclose(model(vectors), theirs, rtol=1e-6)


# -- what is given by position -------------------------------------------------------


class Flagged(layers.Layer):
    def call(self, x, factor=1.0, training=False):
        return x * factor if training else x


def refused():
    x = layers.Input((3,))
    return [
        (lambda k: k.Dropout(0.5)(X, True), "training"),
        (lambda k: k.Dropout(0.5)(k.Input((3,)), True), "training"),
        (lambda k: k.Dense(2)(k.Input((3,)), True), "array"),
        (lambda k: k.Dense(2)([[1.0, 2.0]]), "array"),
        (lambda k: k.Dense(2)("text"), "array"),
        (lambda k: k.Add()([X, 2.0]), "array"),
        (lambda k: k.Dense(2)(None), "tensor"),
        (lambda k: Flagged()(x, 2.0) if k is layers else k.Flatten()(2.0), "factor"),
    ]


@pytest.mark.parametrize("place", range(len(refused())))
def test_flags_and_numbers_by_position_are_refused_as_in_keras(place):
    call, word = refused()[place]
    with pytest.raises(ValueError, match="tensors"):
        call(keras.layers)
    with pytest.raises(ValueError, match=word):
        call(layers)


def test_flags_by_name_and_none_by_position_are_taken():
    assert layers.Dropout(0.5)(layers.Input((3,)), None).shape == (None, 3)
    assert layers.Dropout(0.5)(X, None).shape == (4, 3)
    assert float(Flagged()(X, np.float32(2.0), training=True)[0, 0]) == 2.0
    assert Flagged()(layers.Input((3,)), factor=2.0).shape == (None, 3)

    class Free(Flagged):
        def __init__(self):
            super().__init__()
            self._allow_non_tensor_positional_args = True  # as Keras has it

    assert float(Free()(X, 3.0, True)[0, 0]) == 3.0


def test_a_layer_is_made_again_with_the_name_of_its_policy():
    given = []

    def own(k):
        class Own(k.layers.Layer):
            def __init__(self, dtype=None, **kwargs):
                super().__init__(dtype=dtype, **kwargs)
                given.append(dtype)

        return Own

    for library in (keras, talweg):
        kind = own(library)
        kind.from_config(kind(dtype="mixed_bfloat16").get_config())
        assert given[1::2] == ["mixed_bfloat16"]
        given.clear()
    policies = talweg.dtype_policies.DTypePolicyMap("float32", {"a": "bfloat16"})
    again = layers.Dense.from_config(layers.Dense(2, dtype=policies).get_config())
    assert again.dtype_policy == policies


@pytest.mark.parametrize(
    ("layer", "given", "shape"),
    [
        (layers.CategoryEncoding(num_tokens=4), [0, 1], (4,)),
        (layers.Discretization([0.0, 1.0]), [0.5], (1,)),
        (layers.Rescaling(2.0), [[1.0, 2.0]], (1, 2)),
        (layers.Dense(2), pandas.DataFrame({"a": [1.0, 2.0]}), (2, 2)),
    ],
)
def test_preprocessing_layers_take_lists_and_all_take_tables(layer, given, shape):
    assert layer(given).shape == shape


def test_a_layer_without_get_config_has_its_arguments_in_it_as_in_keras():
    def made(framework):
        class Scaled(framework.layers.Layer):
            def __init__(self, factor=1.0, **rest):
                super().__init__(**rest)
                self.factor = factor

        return Scaled

    for given in ({}, {"factor": 2.0, "dtype": "float32", "name": "scaled"}):
        theirs = made(keras)(**given).get_config()
        own = made(talweg)
        config = own(**given).get_config()
        assert {**theirs, "name": config["name"]} == config
        assert own.from_config(config).get_config() == config


def test_a_call_with_nothing_is_a_type_error_as_in_keras():
    for library in (talweg, keras):
        with pytest.raises(TypeError):
            library.layers.Dense(2)()
    with pytest.raises(TypeError, match=r"'sum' was called without 'inputs'.*layer\(x\)"):
        layers.Add(name="sum")()

    class Constant(layers.Layer):
        def call(self):
            return ops.ones((1, 2))

    assert Constant()().shape == (1, 2)
