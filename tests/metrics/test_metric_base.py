"""What every metric inherits: state, reductions, identifiers, and the laws of a mean."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talweg import initializers, metrics
from talweg.core.loans import autocast
from talweg.core.variables import Variable


class Counter(metrics.Metric):
    def __init__(self, name="counter", **kwargs):
        super().__init__(name=name, **kwargs)
        self.seen = self.add_variable((), "zeros", name="seen")
        self.inner = metrics.Mean(name="inner")
        self.others = [metrics.Sum(name="other")]
        self.loose = Variable(0.0, trainable=False, name="loose")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign_add(len(y_true))
        self.inner.update_state(y_pred, sample_weight)
        self.others[0].update_state(y_true)
        self.loose.assign(self.seen)

    def result(self):
        return {"seen": self.seen.value, "inner": self.inner.result()}


def values_of(metric):
    return [np.asarray(variable).tolist() for variable in metric.variables]


def test_variables_of_nested_metrics_and_lists_belong_to_the_metric():
    metric = Counter()
    assert [v.name for v in metric.variables] == ["seen", "total", "count", "total", "loose"]
    assert metric.variables[0].path == "counter/seen"
    assert not any(variable.trainable for variable in metric.variables)
    assert metric.non_trainable_variables == metric.variables


def test_a_users_metric_updates_resets_and_gives_a_dict():
    metric = Counter()
    result = metric([1.0, 2.0], [3.0, 5.0])
    assert float(result["seen"]) == 2
    assert float(result["inner"]) == 4
    assert values_of(metric) == [2, 8, 2, 3, 2]
    metric.reset_state()
    assert values_of(metric) == [0, 0, 0, 0, 0]


def test_stateless_methods_leave_the_metric_alone():
    metric = Counter()
    zeros = metric.stateless_reset_state()
    update = jax.jit(metric.stateless_update_state)
    state = update(zeros, jnp.array([1.0, 2.0]), jnp.array([3.0, 5.0]))
    assert [float(array) for array in state] == [2, 8, 2, 3, 2]
    assert float(metric.stateless_result(state)["inner"]) == 4
    assert values_of(metric) == [0, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="5 variables"):
        metric.stateless_update_state(state[:-1], [1.0], [1.0])


def test_adding_a_variable_before_the_base_is_set_up_names_the_remedy():
    class Early(metrics.Metric):
        def __init__(self):
            self.total = self.add_variable(())

    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\) first"):
        Early()


def test_initializers_come_as_names_records_callables_and_arrays():
    assert "Constant" in initializers.__all__  # Importing the package makes its names known.
    metric = metrics.Metric(name="bare")
    assert float(metric.add_weight()) == 0
    assert float(metric.add_weight(initializer="zeros", shape=(2,))[1]) == 0
    assert float(metric.add_weight(initializer="ones", shape=(2,))[1]) == 1
    record = {"module": "keras.initializers", "class_name": "Constant", "config": {"value": 2.0}}
    assert float(metric.add_weight(initializer=record)) == 2
    assert float(metric.add_variable((), lambda shape, dtype: jnp.full(shape, 3, dtype))) == 3
    assert metric.add_variable((2,), np.ones(2, "int32"), dtype="int32").dtype == "int32"


def test_unfinished_subclasses_say_what_is_missing():
    with pytest.raises(NotImplementedError, match="update_state"):
        metrics.Metric().update_state()
    with pytest.raises(NotImplementedError, match="result"):
        metrics.Metric().result()


def test_sums_keep_their_digits_under_mixed_precision():
    metric = metrics.Sum()
    metric.update_state([1024.0])
    with autocast("bfloat16"):
        metric.update_state([1.0])
    assert float(metric.result()) == 1025


@pytest.mark.parametrize("name", ["Mean", "Sum"])
@pytest.mark.parametrize(
    ("shape", "weight_shape"),
    [
        ((), None),
        ((), ()),
        ((6,), None),
        ((6,), (6,)),
        ((6,), (6, 1)),
        ((6,), ()),
        ((6,), (1,)),
        ((6, 1), (6,)),
        ((1,), ()),
        ((6, 3), None),
        ((6, 3), (6,)),
        ((6, 3), (6, 1)),
        ((6, 3), (6, 3)),
        ((6, 3), ()),
        ((6, 3, 2), (6,)),
        ((6, 3, 2), (6, 3)),
        ((6, 3, 2), (6, 1, 2)),
        ((0,), None),
        ((0, 3), None),
    ],
)
def test_reductions_equal_keras_for_every_rank_of_weights(name, shape, weight_shape):
    draw = np.random.default_rng(0)
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for _ in range(2):
        values = draw.normal(size=shape).astype("float32")
        weight = None if weight_shape is None else draw.uniform(size=weight_shape)
        ours.update_state(values, weight)
        theirs.update_state(values, weight)
    np.testing.assert_allclose(ours.result(), theirs.result(), rtol=1e-5)
    for our, their in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(our, np.asarray(their), rtol=1e-5)


def test_weights_that_fit_nothing_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"\(4,\).*\(3,\).*\(4, 2\)"):
        metrics.Mean().update_state(np.ones((4, 2)), sample_weight=np.ones(3))
    with pytest.raises(ValueError, match=r"\(4, 2\).*\(3,\)"):
        metrics.Recall().update_state(np.ones((4, 2)), np.ones((4, 2)), np.ones(3))


@given(
    st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=12),
    st.integers(1, 11),
    st.floats(0.125, 8, width=32),
)
def test_a_mean_knows_no_order_no_batches_and_no_scale_of_its_weights(values, cut, scale):
    whole, parts = metrics.Mean(), metrics.Mean()
    values = np.asarray(values, "float32")
    weights = np.arange(1, len(values) + 1, dtype="float32")
    whole.update_state(values, weights)
    for piece in (slice(cut, None), slice(None, cut)):
        parts.update_state(values[piece], weights[piece] * np.float32(scale))
    np.testing.assert_allclose(parts.result(), whole.result(), rtol=1e-4, atol=1e-4)


def test_an_unweighted_mean_is_one_reduction_and_a_known_count():
    metric = metrics.BinaryAccuracy()
    zeros = metric.stateless_reset_state()
    y = jnp.ones(64)
    text = jax.jit(metric.stateless_update_state).lower(zeros, y, y).compile().as_text()
    assert text.count(" reduce(") == 1
    # The count is no function of the data.
    total, count = metric.stateless_update_state(zeros, y, y)
    assert float(count) == 64
    assert float(total) == 64


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("mse", metrics.MeanSquaredError),
        ("MSE", metrics.MeanSquaredError),
        ("mae", metrics.MeanAbsoluteError),
        ("MAPE", metrics.MeanAbsolutePercentageError),
        ("msle", metrics.MeanSquaredLogarithmicError),
        ("bce", metrics.BinaryCrossentropy),
        ("mean_squared_error", metrics.MeanSquaredError),
        ("accuracy", metrics.Accuracy),
        ("hinge", metrics.Hinge),
        ("BinaryAccuracy", metrics.BinaryAccuracy),
        ({"class_name": "Mean", "config": {"name": "m"}}, metrics.Mean),
        (metrics.Recall, metrics.Recall),
    ],
)
def test_identifiers_name_the_class_that_keras_names(identifier, expected):
    assert type(metrics.get(identifier)) is expected
    if not isinstance(identifier, type):
        assert type(keras.metrics.get(identifier)).__name__ == expected.__name__


def test_every_snake_case_name_of_keras_means_the_same_class():
    from keras.src.metrics import ALL_OBJECTS_DICT

    for name, cls in ALL_OBJECTS_DICT.items():
        if cls.__name__ != "Metric":
            assert metrics._catalog.find(name).__name__ == cls.__name__


def test_other_identifiers():
    assert metrics.get(None) is None
    metric = metrics.Mean()
    assert metrics.get(metric) is metric
    assert metrics.get(metrics.binary_accuracy) is metrics.binary_accuracy
    with pytest.raises(ValueError, match="Did you mean 'precision'"):
        metrics.get("precisoin")
    with pytest.raises(TypeError, match="metric"):
        metrics.get(3)


def test_a_wrapped_functions_config_moves_both_ways():
    ours = metrics.MeanMetricWrapper(metrics.binary_accuracy, name="w", threshold=0.3)
    theirs = keras.metrics.MeanMetricWrapper(keras.metrics.binary_accuracy, "w", threshold=0.3)
    assert ours.get_config() == theirs.get_config()
    for record in (metrics.serialize(ours), keras.metrics.serialize(theirs)):
        again = metrics.deserialize(record)
        assert float(again([1.0, 0.0], [0.4, 0.1])) == 1
        assert again.get_config() == ours.get_config()
    record = keras.metrics.serialize(keras.metrics.binary_accuracy)
    assert metrics.deserialize(record) is metrics.binary_accuracy


def test_a_wrapped_function_of_ones_own_is_found_when_in_scope():
    def gap(y_true, y_pred):
        return jnp.abs(jnp.asarray(y_true) - jnp.asarray(y_pred))

    record = metrics.serialize(metrics.MeanMetricWrapper(gap))
    again = metrics.deserialize(record, custom_objects={"gap": gap})
    assert float(again([1.0], [3.0])) == 2
    with pytest.raises(ValueError, match="gap"):
        metrics.deserialize(record)
    with pytest.raises(TypeError, match="fn"):
        metrics.MeanMetricWrapper("gap")


def test_more_is_better_where_keras_says_so():
    from keras.src.metrics import ALL_OBJECTS

    needed = {
        "FBetaScore": {},
        "IoU": {"num_classes": 2, "target_class_ids": [0]},
        "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
        "MeanIoU": {"num_classes": 2},
        "OneHotMeanIoU": {"num_classes": 2},
        "PrecisionAtRecall": {"recall": 0.5},
        "RecallAtPrecision": {"precision": 0.5},
        "SensitivityAtSpecificity": {"specificity": 0.5},
        "SpecificityAtSensitivity": {"sensitivity": 0.5},
        "MeanMetricWrapper": {"fn": keras.losses.mean_squared_error},
    }
    for cls in ALL_OBJECTS:
        theirs = getattr(cls(**needed.get(cls.__name__, {})), "_direction", None)
        if theirs is not None and cls.__name__ != "MeanMetricWrapper":
            assert getattr(metrics, cls.__name__)._direction == theirs, cls
    assert metrics.MeanMetricWrapper(metrics.mean_squared_error)._direction == "down"
    assert metrics.MeanMetricWrapper(metrics.binary_accuracy)._direction is None


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [((8, 1), (8, 1)), ((8,), (8, 1)), ((8,), (8, 3)), ((8, 1), (8, 3)), ((8, 3), (8, 3))],
)
def test_accuracy_is_chosen_as_keras_chooses_it(y_true, y_pred):
    from keras.src.trainers.compile_utils import get_metric

    theirs = type(get_metric("accuracy", np.zeros(y_true), np.zeros(y_pred))).__name__
    assert metrics.accuracy_for(y_true, y_pred).__name__ == theirs
    assert metrics.crossentropy_for(y_true, y_pred).__name__ == theirs.replace(
        "Accuracy", "Crossentropy"
    )


def test_one_prediction_per_sample_is_binary_without_a_second_axis_too():
    assert metrics.accuracy_for((8,), (8,)) is metrics.BinaryAccuracy


def test_a_metric_keeps_its_digits_under_a_policy_of_half_precision():
    from talweg.core import dtypes

    dtypes.set_dtype_policy("mixed_float16")
    try:
        metric = metrics.Mean()
    finally:
        dtypes.set_dtype_policy(None)
    metric.update_state([70000.0])
    assert (metric.dtype, float(metric.result())) == ("float32", 70000.0)


def test_the_stateless_methods_take_the_variables_themselves():
    class Added(metrics.Metric):
        def __init__(self):
            super().__init__()
            self.sum = self.add_variable((), "zeros")

        def update_state(self, values):
            self.sum.assign(self.sum + jnp.sum(jnp.asarray(values)))

        def result(self):
            return self.sum.value

    metric = Added()
    state = metric.stateless_update_state(metric.variables, [1.0, 2.0])
    assert float(state[0]) == 3.0
    assert float(metric.result()) == 0.0


def test_thresholds_take_the_place_of_their_number():
    options = {"num_thresholds": None, "thresholds": [0.3, 0.5]}
    ours, theirs = metrics.AUC(**options), keras.metrics.AUC(**options)
    assert ours.get_config()["thresholds"] == theirs.get_config()["thresholds"]
    assert ours.num_thresholds == theirs.num_thresholds
    with pytest.raises(ValueError, match="num_thresholds must be at least 2, got None"):
        metrics.AUC(num_thresholds=None)


def test_int_names_the_default_integer_type():
    variable = metrics.MeanIoU(num_classes=2).add_variable((2,), "zeros", dtype="int")
    assert variable.dtype == "int32"
