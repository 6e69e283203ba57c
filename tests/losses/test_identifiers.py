"""Names, records, classes and objects that stand for a loss."""

import jax.numpy as jnp
import keras
import pytest

from talweg import losses
from talweg.core.hyperparameters import Interval
from talweg.core.serialization import custom_object_scope

ALIASES = ["bce", "BCE", "kld", "KLD", "mae", "MAE", "mape", "MAPE", "mse", "MSE", "msle", "MSLE"]


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_name_the_function_that_keras_means(alias):
    assert losses.get(alias).__name__ == keras.losses.get(alias).__name__


def test_logcosh_names_the_loss():
    assert isinstance(losses.get("logcosh"), losses.LogCosh)


@pytest.mark.parametrize("name", list(losses._catalog.classes()))
def test_classes_are_found_by_name(name):
    if name != "LossFunctionWrapper":
        assert type(losses.get(name)) is getattr(losses, name)


@pytest.mark.parametrize("name", list(losses._catalog.functions()))
def test_functions_are_found_by_name_and_returned_as_given(name):
    function = getattr(losses, name)
    assert losses.get(name) is function
    assert losses.get(function) is function
    assert losses.deserialize(losses.serialize(function)) is function
    record = keras.losses.serialize(getattr(keras.losses, name))
    assert losses.get(record) is function


def test_objects_classes_and_none_are_taken_as_they_are():
    loss = losses.Huber(delta=2.0)
    assert losses.get(loss) is loss
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    assert losses.get(None) is None
    record = {"class_name": "CategoricalCrossentropy", "config": {"from_logits": True}}
    assert losses.get(record).from_logits is True


@pytest.mark.parametrize("wrong", ["mean_squared_eror", "checker", "", "expects_probabilities"])
def test_unknown_names_are_refused_with_the_nearest(wrong):
    with pytest.raises(ValueError, match="Unknown loss"):
        losses.get(wrong)


def test_what_is_no_loss_is_refused():
    with pytest.raises(TypeError, match="must be"):
        losses.get(3)


def test_wrappers_move_as_in_keras():
    from keras.src.losses.losses import LossFunctionWrapper

    ours = losses.LossFunctionWrapper(losses.binary_crossentropy, name="w", from_logits=True)
    theirs = LossFunctionWrapper(keras.losses.binary_crossentropy, name="w", from_logits=True)
    assert ours.get_config() == theirs.get_config()
    back = losses.deserialize(losses.serialize(ours))
    assert back.fn is losses.binary_crossentropy
    assert back.get_config() == ours.get_config()
    assert LossFunctionWrapper.from_config(ours.get_config()).fn is keras.losses.binary_crossentropy


def test_custom_functions_come_back_from_their_scope():
    def mine(y_true, y_pred):
        return jnp.mean(y_true - y_pred, axis=-1)

    config = losses.LossFunctionWrapper(mine).get_config()
    with custom_object_scope({"mine": mine}):
        assert losses.LossFunctionWrapper.from_config(config).fn is mine
    with pytest.raises(ValueError, match="Unknown loss 'mine'"):
        losses.LossFunctionWrapper.from_config(config)


def test_a_dtype_other_than_floatx_survives_the_config():
    loss = losses.Huber(dtype="float16")
    assert losses.Huber.from_config(loss.get_config()).dtype == "float16"
    assert "dtype" not in losses.Huber(dtype="float32").get_config()


@pytest.mark.parametrize("reduction", ["average", "SUM", 3])
def test_unknown_reductions_are_refused(reduction):
    with pytest.raises(ValueError, match="reduction must be one of"):
        losses.MeanSquaredError(reduction=reduction)


OUT_OF_RANGE = [
    pytest.param(name, option, value, id=f"{name}-{option}-{value}")
    for name, cls in losses._catalog.classes().items()
    for option, interval in getattr(cls, "ranges", {}).items()
    for value in Interval.parse(interval).outside()
]


@pytest.mark.parametrize(("name", "option", "value"), OUT_OF_RANGE)
def test_options_out_of_range_are_refused(name, option, value):
    with pytest.raises(ValueError, match=f"{name}: {option} must be in"):
        getattr(losses, name)(**{option: value})


def test_options_show_in_repr():
    assert repr(losses.Huber(delta=2.0)) == "<Huber(reduction='sum_over_batch_size', delta=2.0)>"
