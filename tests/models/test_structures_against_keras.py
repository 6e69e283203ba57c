"""What a model of several inputs may be given, and models without an optimizer, as in Keras."""

import keras
import numpy as np
import pytest

import talweg

A, B = np.full((4, 2), 1.0, np.float32), np.full((4, 2), 2.0, np.float32)
MADE_OF = {
    "one": lambda x, y: x,
    "list of one": lambda x, y: [x],
    "dict of one": lambda x, y: {"x": x},
    "list": lambda x, y: [x, y],
    "tuple": lambda x, y: (y, x),
    "dict": lambda x, y: {"x": x, "y": y},
    "unsorted dict": lambda x, y: {"y": y, "x": x},
    "nested": lambda x, y: [x, {"q": y}],
    "dict of lists": lambda x, y: {"x": [x], "y": y},
}
GIVEN = {
    "one": [A, [A], (A,), {"x": A}, {"x": A, "z": B}, {"z": A}],
    "two": [
        [A, B], (A, B), {"x": A, "y": B}, {"y": B, "x": A}, {"x": A, "y": B, "z": B}, {"x": A},
        A, [A], [A, B, B],
    ],
    "nested": [[A, {"q": B}], (A, {"q": B}), [A, B]],
    "dict of lists": [{"x": [A], "y": B}, {"x": A, "y": B}, [A, B]],
}  # fmt: skip


def combined(library, kind):
    x, y = (library.Input((2,), name=name) for name in "xy")
    inputs = MADE_OF[kind](x, y)
    out = x * 10.0 if kind.endswith("one") else x * 10.0 + y
    return library.Model(inputs, out)


def outcome(model, given):
    """A number that tells x from y, or that the call was refused."""
    try:
        return float(np.asarray(model(given))[0, 0])
    except (ValueError, TypeError):
        return None


@pytest.mark.filterwarnings("ignore:The structure of `inputs`", "ignore:When providing `inputs`")
@pytest.mark.parametrize("kind", MADE_OF)
def test_inputs_of_every_structure_are_taken_as_by_keras(kind):
    ours, theirs = combined(talweg, kind), combined(keras, kind)
    one = "one" if kind.endswith("one") else "two"
    for given in GIVEN.get(kind, GIVEN[one]):
        assert outcome(ours, given) == outcome(theirs, given), (kind, given)


def test_a_list_is_refused_where_the_inputs_were_a_dict_out_of_order():
    model = combined(talweg, "unsorted dict")
    with pytest.raises(ValueError, match="a dict with y, x"):
        model.predict([A, B], verbose=0)
    assert model.predict({"x": A, "y": B}, verbose=0)[0, 0] == 12.0


def test_what_is_not_an_input_is_left_alone_whatever_its_name():
    """Keras sorts the keys and drops the last one: it would compute with "a", and warn."""
    model = combined(talweg, "dict")
    assert outcome(model, {"a": B * 9, "x": A, "y": B}) == 12.0


def linear(library, optimizer):
    ones = {"kernel_initializer": "ones"}
    model = library.Sequential([library.Input((2,)), library.layers.Dense(1, **ones)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def test_a_model_without_optimizer_is_evaluated_but_not_trained(tmp_path):
    ours, theirs = linear(talweg, None), linear(keras, None)
    assert ours.compiled
    assert ours.optimizer is None
    targets = np.zeros((4, 1), np.float32)
    assert ours.evaluate(A, targets, verbose=0) == theirs.evaluate(A, targets, verbose=0)
    assert ours.test_on_batch(A, targets) == pytest.approx([4.0, 2.0])
    assert ours.get_compile_config() == theirs.get_compile_config()
    for train in (lambda: ours.fit(A, targets), lambda: ours.train_on_batch(A, targets)):
        with pytest.raises(ValueError, match="needs an optimizer"):
            train()
    ours.save(tmp_path / "model.keras")
    again = talweg.saving.load_model(tmp_path / "model.keras")
    assert again.optimizer is None
    assert again.evaluate(A, targets, verbose=0) == pytest.approx([4.0, 2.0])
    again.summary(print_fn=lambda line: None)
    again.get_state_tree()
    again.compile("sgd", "mse")
    assert again.fit(A, targets, verbose=0).history["loss"] == pytest.approx([4.0])


def nested(library):
    x = library.Input((2,), name="x")
    a, b, c = (
        library.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones", name=name)(x)
        for name in "abc"
    )
    return library.Model(x, {"first": a, "rest": {"second": b * 3.0, "more": [c]}})


TARGETS = {"first": A[:, :1], "rest": {"second": B[:, :1], "more": [A[:, :1] * 0]}}


@pytest.mark.parametrize("given", [
    {"loss": "mse"},
    {"loss": {"first": "mse", "rest": {"second": "mae", "more": ["mse"]}},
     "loss_weights": {"first": 1.0, "rest": {"second": 2.0, "more": [3.0]}}},
    {"loss": {"first": "mse", "rest": {"second": "mae"}}},
])  # fmt: skip
def test_losses_follow_outputs_inside_outputs_as_in_keras(given):
    ours, theirs = (
        (m := nested(k), m.compile("sgd", **given))[0] for k in (talweg, keras)
    )  # fmt: skip
    expected = theirs.evaluate(A, TARGETS, verbose=0, return_dict=True)
    assert ours.evaluate(A, TARGETS, verbose=0, return_dict=True) == pytest.approx(expected)


def test_a_loss_may_stand_in_a_list_of_its_own_as_in_keras():
    def make(library):
        x = library.Input((2,), name="x")
        ones = {"kernel_initializer": "ones"}
        outputs = [library.layers.Dense(1, name=name, **ones)(x) for name in "ab"]
        model = library.Model(x, outputs)
        model.compile("sgd", ["mse", ["mae"]])
        return model.evaluate(A, [A[:, :1], A[:, :1]], verbose=0, return_dict=True)

    assert make(talweg) == pytest.approx(make(keras))


def test_metrics_follow_outputs_inside_outputs():
    model = nested(talweg)
    model.compile(
        "sgd", "mse", metrics={"first": ["mae", "mse"], "rest": {"more": ["mae"]}}
    )  # fmt: skip
    logs = model.fit(A, TARGETS, verbose=0).history
    assert {"first_mae", "first_mse", "rest/more/c_mae"} < set(logs)
    for wrong in ({"rest": {"third": "mae"}}, {"rest": {"more": ["mae", "mae"]}}):
        model.compile("sgd", "mse", metrics=wrong)
        with pytest.raises(ValueError, match="metrics"):
            model.evaluate(A, TARGETS, verbose=0)


def test_uses_of_ops_that_are_outputs_have_names_that_differ():
    x = talweg.Input((2,))
    model = talweg.Model(x, [x * 2.0, x * 3.0, x + 1.0])
    assert model.output_names == ["multiply", "multiply_1", "add"]
    model.compile("sgd", {"multiply": "mse", "multiply_1": "mae", "add": "mse"})
    assert "multiply_1_loss" in model.evaluate(A, [A, A, A], verbose=0, return_dict=True)


def with_an_optional_input(library):
    class Sum(library.layers.Layer):
        def call(self, a, b=None):
            return a if b is None else a + b

    a, b = library.Input((2,)), library.Input((2,), optional=True)
    head = library.layers.Dense(1, kernel_initializer="ones")
    return library.Model([a, b], head(Sum()(a, b)))


def two_heads(library):
    x = library.Input((2,))
    kernels = {"p": "ones", "q": "zeros"}
    outputs = [
        library.layers.Dense(1, kernel_initializer=kernel, name=name)(x)
        for name, kernel in kernels.items()
    ]
    return library.Model(x, outputs)


def batches_of(*batch):
    yield from (batch, batch)


Y, WEIGHT = A[:, :1] * 5, np.arange(4.0)


@pytest.mark.sampled(count=2)
@pytest.mark.parametrize(("loss", "more", "data"), [
    (["mse", None], {}, (A, [Y, None])),
    ([None, "mae"], {}, (A, (None, Y))),
    (["mse", None], {"metrics": [["mae"], None]}, (A, [Y, None])),
    (["mse", "mse"], {}, (A, [Y, Y], [WEIGHT, None])),
])  # fmt: skip
def test_none_stands_for_a_target_or_a_weight_that_is_left_out_as_in_keras(loss, more, data):
    found = []
    for library in (talweg, keras):
        model = two_heads(library)
        model.compile("sgd", loss, **more)
        batch = model.test_on_batch(*data, return_dict=True)
        history = model.fit(batches_of(*data), steps_per_epoch=2, shuffle=False, verbose=0).history
        history.update(model.fit(*data[:2], validation_split=0.5, shuffle=False, verbose=0).history)
        history.pop("learning_rate", None)
        found.append({**batch, **{name: values[0] for name, values in history.items()}})
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_none_stands_for_an_optional_input_as_in_keras():
    def scores(library):
        model = with_an_optional_input(library)
        model.compile("sgd", "mse")
        loss = model.fit([A, None], Y, verbose=0, shuffle=False).history["loss"]
        return [*loss, *model.predict([A, None], verbose=0)[:, 0]]

    assert scores(talweg) == pytest.approx(scores(keras), rel=1e-5)


def test_none_in_the_place_of_a_target_that_is_needed_is_named():
    model = two_heads(talweg)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="y lacks targets for output 'q'"):
        model.fit(A, [Y, None], verbose=0)
