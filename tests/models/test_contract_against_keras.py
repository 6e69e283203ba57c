"""What users lean on without thinking: names, paths, shapes, freezing, views, clear refusals."""

from typing import Any

import keras
import numpy as np
import pytest

import talweg
from models.twins import assert_same_weights, numbers, twins

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X, Y = numbers(20)
BOTH = (keras, talweg)


@pytest.fixture(autouse=True)
def _names_from_the_start() -> None:
    keras.utils.clear_session()


def each(build: Any) -> tuple[Any, Any]:
    """What `build(namespace)` says with Keras and with talweg."""
    return build(keras), build(talweg)


# -- layers ------------------------------------------------------------------------------


def test_add_weight_takes_the_forms_of_keras() -> None:
    def build(k: Any) -> Any:
        class Many(k.layers.Layer):
            def build(self, input_shape: Any) -> None:
                self.a = self.add_weight((input_shape[-1], 2), "ones", "float32", name="a")
                self.b = self.add_weight(shape=(2,), initializer=k.initializers.Constant(2.0))
                self.c = self.add_weight(name="c")
                self.d = self.add_weight(shape=(), dtype="int32", trainable=False, name="d")
                self.e = self.add_weight(
                    shape=(3,), initializer="zeros", regularizer="l2", constraint="non_neg",
                    aggregation="mean", name="e",
                )  # fmt: skip

            def call(self, x: Any) -> Any:
                return x @ self.a.value + self.b

        layer = Many(name="many", trainable=False)
        outputs = np.asarray(layer(X))
        first = [v.trainable for v in layer.weights]
        layer.trainable = True
        return [
            outputs.tolist(), first, [v.trainable for v in layer.weights],
            [w.path for w in layer.weights if "variable" not in w.path],
            [tuple(w.shape) for w in layer.weights], [str(w.dtype) for w in layer.weights],
            layer.e.aggregation, layer.path, layer.count_params(),
        ]  # fmt: skip

    theirs, mine = each(build)
    assert mine == theirs


def test_paths_are_those_of_keras() -> None:
    def build(k: Any) -> Any:
        class Block(k.layers.Layer):
            def __init__(self, **kwargs: Any) -> None:
                super().__init__(**kwargs)
                self.inner = k.layers.Dense(2, name="inner")

            def build(self, input_shape: Any) -> None:
                self.inner.build(input_shape)

            def call(self, x: Any) -> Any:
                return self.inner(x)

        class Net(k.Model):
            def __init__(self, **kwargs: Any) -> None:
                super().__init__(**kwargs)
                self.block, self.head = Block(name="block"), k.layers.Dense(1, name="head")

            def call(self, x: Any) -> Any:
                return self.head(self.block(x))

        before = Block(name="unbuilt").path
        net = Net(name="net")
        net(X)
        stack = k.Sequential([k.layers.Dense(2, name="stacked")], name="stack")
        x = k.Input((4,), name="x")
        model = k.Model(x, stack(k.layers.Dense(3, name="first")(x)), name="model")
        with k.name_scope("outer"):
            variable = k.Variable(1.0, name="v")
        layers = [net, net.block, net.block.inner, net.head, *model.layers[1:]]
        return [before, [layer.path for layer in layers], variable.path,
                [w.path for w in (*net.weights, *model.weights)]]  # fmt: skip

    theirs, mine = each(build)
    assert mine == theirs


def test_a_layer_of_several_shapes_is_built_again_from_its_record() -> None:
    def build(k: Any) -> Any:
        class Two(k.layers.Layer):
            def __init__(self, **kwargs: Any) -> None:
                super().__init__(**kwargs)
                self.a, self.b = k.layers.Dense(2), k.layers.Dense(2)

            def build(self, x_shape: Any, y_shape: Any) -> None:
                self.a.build(x_shape)
                self.b.build(y_shape)

            def call(self, x: Any, y: Any) -> Any:
                return self.a(x) + self.b(y)

        layer, again = Two(), Two()
        layer(X, Y)
        again.build_from_config(layer.get_build_config())
        return layer.get_build_config(), [tuple(w.shape) for w in again.weights]

    theirs, mine = each(build)
    assert mine == theirs


@pytest.mark.sampled(count=8)
@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda k: k.layers.Dense(2, foo=1), ValueError),
        (lambda k: k.layers.Dense(2, name="a/b"), ValueError),
        (lambda k: k.layers.Layer().add_weight("kernel", (2,)), ValueError),
        (lambda k: k.layers.Layer().add_weight((2, None)), ValueError),
        (lambda k: k.layers.Layer().add_metric(1.0), NotImplementedError),
        (lambda k: k.layers.Dense(2).count_params(), ValueError),
        (lambda k: k.layers.Dense(2).output, AttributeError),
        (lambda k: k.Variable(1.0, name="a/b"), ValueError),
        (lambda k: k.Variable(1.0, aggregation="most"), ValueError),
        (lambda k: k.Variable("ones", shape=(None, 2)), ValueError),
        (lambda k: k.Variable([1.0]).assign([1.0, 2.0]), ValueError),
        (lambda k: k.Sequential([k.layers.Dense(1)]).fit(X, Y), ValueError),
        (lambda k: k.Sequential([k.layers.Dense(1, name="a")]).get_layer("b"), ValueError),
        (lambda k: k.Sequential([k.layers.Dense(1, name="a")]).get_layer(index=3), ValueError),
        (lambda k: k.Sequential([k.layers.Dense(1, name="a")]).get_layer("a", 0), ValueError),
        (lambda k: k.Sequential([k.layers.Dense(1, name="a")]).get_layer(), ValueError),
    ],
)
def test_what_keras_refuses_is_refused_by_the_same_kind_of_error(act: Any, error: Any) -> None:
    for k in BOTH:
        with pytest.raises(error):
            act(k)


def test_what_talweg_leaves_out_says_what_to_do() -> None:
    layer = talweg.layers.Dense(2)
    with pytest.raises(NotImplementedError, match="ONNX"):
        layer.quantize("int8")
    x = talweg.Input((4,))
    model = talweg.Model(x, talweg.layers.Dense(1)(x))
    with pytest.raises(ValueError, match=r"inside call\(\)"):
        model.add_loss(talweg.ops.mean(x))


def test_variables_have_keras_operators() -> None:
    def build(k: Any) -> Any:
        v, i = k.Variable("ones", shape=(2,), name="v"), k.Variable([1, 2, 3], dtype="int32")
        b = k.Variable([True, False])
        results = [v + 1, 2 - v, v @ np.ones(2, "float32"), abs(-v), i % 2, i[1], i == 2,
                   b & True, b | True, b ^ True, ~b, True & b]  # fmt: skip
        return [np.asarray(r).tolist() for r in results], v.path, v.aggregation, v.synchronization

    theirs, mine = each(build)
    assert mine == theirs


# -- freezing ----------------------------------------------------------------------------


def test_a_frozen_part_keeps_weights_and_statistics_and_thaws_again() -> None:
    def build(k: Any) -> Any:
        base = k.Sequential(
            [k.layers.Input((4,)), k.layers.Dense(3, name="d"), k.layers.BatchNormalization()],
            name="base",
        )
        base.trainable = False
        x = k.Input((4,))
        model = k.Model(x, k.layers.Dense(1)(base(x)))
        model.compile(k.optimizers.SGD(0.1), "mse")
        return model

    pair = twins(build)
    start = pair.talweg.get_layer("base").get_weights()
    options = {"batch_size": 10, "epochs": 2, "shuffle": False, "verbose": 0}
    for model in pair:
        model.fit(X, Y, **options)
    assert_same_weights(pair)
    for before, after in zip(start, pair.talweg.get_layer("base").get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)
    for k, model in pair.each():
        base = model.get_layer("base")
        base.trainable = True
        base.get_layer("d").trainable = False
        model.compile(k.optimizers.SGD(0.1), "mse")
        model.fit(X, Y, **options)
    assert_same_weights(pair)
    counts = [(len(m.trainable_weights), len(m.non_trainable_weights)) for m in pair]
    assert counts == [(4, 4), (4, 4)]
    np.testing.assert_array_equal(pair.talweg.get_layer("base").get_weights()[0], start[0])


def test_a_flag_given_in_the_graph_holds_whatever_the_model_is_called_with() -> None:
    """As documented for fine-tuning; in Keras 3.15 the flag of the outer call wins."""
    norm = talweg.layers.BatchNormalization()
    x = talweg.Input((4,))
    model = talweg.Model(x, norm(x, training=False))
    np.testing.assert_array_equal(model(X, training=True), model(X))
    np.testing.assert_array_equal(norm.moving_mean, np.zeros(4))


# -- models ------------------------------------------------------------------------------


def test_a_subclassed_model_is_built_by_shape() -> None:
    class Net(talweg.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = talweg.layers.Dense(2), talweg.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.b(self.a(x))

    class Built(Net):
        def build(self, input_shape: Any) -> None:
            self.a.build(input_shape)
            self.b.build((None, 2))
            super().build(input_shape)

    for model in (Net(), Built()):
        model.build((None, 4))
        assert model.built
        assert [w.shape for w in model.weights] == [(4, 2), (2,), (2, 1), (1,)]
        assert all(w.path.count(model.name) == 1 for w in model.weights)


def test_the_inside_of_a_sequential_model_is_there_to_build_on() -> None:
    for layers in (
        [talweg.layers.Input((4,)), talweg.layers.Dense(3), talweg.layers.Dense(2)],
        [talweg.layers.Dense(3), talweg.layers.Dense(2)],
    ):
        model = talweg.Sequential(layers)
        whole = model(X)
        features = talweg.Model(model.inputs, [layer.output for layer in model.layers])
        np.testing.assert_allclose(features(X)[1], whole, rtol=1e-6)
        cut = talweg.Model(model.input, model.layers[0].output)
        assert cut(X[:3]).shape == (3, 3)


def test_a_function_is_the_way_between_tensors() -> None:
    def build(k: Any) -> Any:
        a, b = k.KerasTensor((None, 3)), k.KerasTensor((None, 3))
        function = k.Function([a, b], k.ops.sigmoid(a + b))
        symbolic = function([k.KerasTensor((5, 3)), k.KerasTensor((5, 3))])
        value = np.asarray(function([X[:, :3], X[:, 1:]])).round(5).tolist()
        return value, tuple(symbolic.shape), len(function.operations), len(function.inputs)

    theirs, mine = each(build)
    assert mine == theirs


def forked(k: Any) -> Any:
    x = k.Input((4,), name="x")
    hidden = k.layers.Dense(4, name="hidden")(x)
    inner = k.Sequential([k.layers.Dense(3, name="inside")], name="inner")
    sums = inner(k.layers.Add(name="sum")([x, hidden])) * 2.0
    model = k.Model(x, k.layers.Dense(1, name="head")(sums), name="net")
    model.get_layer("hidden").trainable = False
    return model


def summary(model: Any, **options: Any) -> list[list[str]]:
    """The cells of the rows."""
    said: list[str] = []
    model.summary(print_fn=lambda text, **_: said.append(text), line_length=200, **options)
    lines = "\n".join(said).splitlines()
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"expand_nested": True, "show_trainable": True},
        {"layer_range": ["hidden", "inner"]},
    ],
    ids=str,
)
def test_the_summary_says_what_that_of_keras_says(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    theirs, mine = each(lambda k: summary(forked(k), **options))
    assert mine == theirs


def test_a_chain_needs_no_column_of_connections() -> None:
    model = talweg.Sequential([talweg.layers.Input((4,)), talweg.layers.Dense(2)])
    assert summary(model) == [["dense (Dense)", "(None, 2)", "10"]]
    with pytest.raises(ValueError, match="layer_range"):
        model.summary(layer_range=["dense", "nowhere"])


def test_a_picture_has_a_box_for_each_layer_and_op_and_a_frame_for_each_model_inside() -> None:
    pytest.importorskip("pydot")
    model = forked(talweg)
    told = {"show_shapes": True, "show_dtype": True, "show_trainable": True}
    flat = talweg.utils.model_to_dot(model, show_layer_activations=True, **told)
    labels = [node.get("label") for node in flat.get_nodes() if node.get("label")]
    assert len(labels) == 6
    assert any("multiply (Multiply)" in label and "(None, 3)" in label for label in labels)
    assert any("hidden (Dense)" in label and "frozen" in label for label in labels)
    assert any("activation: linear" in label for label in labels)
    assert len(flat.get_edges()) == 6
    nested = talweg.utils.model_to_dot(model, expand_nested=True)
    (frame,) = nested.get_subgraphs()
    assert [node.get("label").strip('"') for node in frame.get_nodes()] == ["inside (Dense)"]
    assert len(nested.get_edges()) == 6
