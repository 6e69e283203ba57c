"""What `import keras` and `import tensorflow` lead to while the hook is installed."""

import importlib
import sys

import numpy as np
import pytest

import talweg
import talweg.compat
from talweg import backend, initializers, layers, losses, models, optimizers, regularizers, utils
from talweg.compat import facade, names, text  # noqa: F401 - named by path below

pytestmark = pytest.mark.usefixtures("hook")


def run(statement):
    space = {}
    exec(statement, space)
    return space


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("from keras.models import Sequential as it", models.Sequential),
        ("from keras import Sequential as it", models.Sequential),
        ("from keras.layers import Dense as it", layers.Dense),
        ("from keras.layers.core import Dense as it", layers.Dense),
        ("from keras.layers.advanced_activations import LeakyReLU as it", layers.LeakyReLU),
        ("from keras.layers.normalization import BatchNormalization as it",
         layers.BatchNormalization),
        ("from keras.engine.topology import Layer as it", layers.Layer),
        ("from keras.src.layers import Dense as it", layers.Dense),
        ("from keras.optimizers import SGD as it", optimizers.SGD),
        ("from keras.optimizers.legacy import Adam as it", optimizers.Adam),
        ("from keras.optimizers.schedules import CosineDecay as it", talweg.schedules.CosineDecay),
        ("from keras.utils import to_categorical as it", utils.to_categorical),
        ("from keras.utils.np_utils import to_categorical as it", utils.to_categorical),
        ("from keras.utils import np_utils; it = np_utils.to_categorical", utils.to_categorical),
        ("from keras.losses import mse as it", losses.mean_squared_error),
        ("from keras.losses import MSE as it", losses.mean_squared_error),
        ("from keras.regularizers import l2 as it", regularizers.L2),
        ("from keras.initializers import glorot_uniform as it", initializers.GlorotUniform),
        ("import keras; it = keras.optimizers.schedules.ExponentialDecay",
         talweg.schedules.ExponentialDecay),
        ("import keras.backend as K; it = K.set_value", backend.set_value),
        ("from tensorflow.keras.layers import Dense as it", layers.Dense),
        ("from tensorflow import keras; it = keras.layers.Dense", layers.Dense),
        ("from tensorflow.python.keras.layers import Dense as it", layers.Dense),
        ("import tensorflow.keras.backend as K; it = K.get_value", backend.get_value),
        ("import tensorflow as tf; it = tf.keras.backend.clear_session", backend.clear_session),
        ("import tensorflow as tf; it = tf.keras.layers.Dense", layers.Dense),
        ("import tensorflow as tf; it = tf.optimizers.Adam", optimizers.Adam),
        ("import tensorflow.compat.v2 as tf; it = tf.keras.Sequential", models.Sequential),
        ("from keras.preprocessing.sequence import pad_sequences as it", utils.pad_sequences),
        ("from tensorflow.keras.preprocessing.image import load_img as it", utils.load_img),
        ("import keras; it = keras.preprocessing.image_dataset_from_directory",
         utils.image_dataset_from_directory),
        ("import keras; it = keras.preprocessing.text.Tokenizer", talweg.compat.text.Tokenizer),
        ("from keras.saving import register_keras_serializable as it",
         utils.register_keras_serializable),
    ],
)  # fmt: skip
def test_names_of_keras_are_talwegs_own_objects(statement, expected):
    assert run(statement)["it"] is expected


def test_every_module_talweg_exports_answers_with_every_name_of_it():
    for package in talweg.__all__:
        module = getattr(talweg, package)
        if not isinstance(module, type(talweg)):
            continue
        worn = importlib.import_module(f"keras.{package}")
        for name in module.__all__:
            if not isinstance(getattr(module, name), type(talweg)):
                assert getattr(worn, name) is getattr(module, name), f"{package}.{name}"


def test_star_imports_bring_the_layers():
    assert run("from keras.layers import *")["Dense"] is layers.Dense


@pytest.mark.parametrize(
    ("statement", "error", "said"),
    [
        ("from keras.layers import Dens", ImportError, r"no keras.layers.Dens. .*\.Dense\?"),
        ("from keras.optimizers import Dense", ImportError, "It is keras.layers.Dense"),
        ("import keras.lyers", ImportError, r"no keras.lyers. Did you mean keras.layers\?"),
        ("from keras import Sequental", ImportError, "Did you mean keras.Sequential"),
        ("import tensorflow as tf; tf.reduce_meen", AttributeError, "tensorflow.reduce_mean"),
        ("import tensorflow as tf; tf.GradientTape()", AttributeError, "jax.value_and_grad"),
        ("import tensorflow as tf; tf.keras.layers.Desne", AttributeError, "keras.layers.Dense"),
        ("import tensorflow as tf; tf.compat.v1.Session", AttributeError, "no sessions"),
        ("from keras.preprocessing.image import ImageDataGenerator", ImportError, "RandomFlip"),
        ("from keras.preprocessing.text import Tokeniser", ImportError, "text.Tokenizer"),
        ("from tensorflow.keras.layers import Dens", ImportError, "keras.layers.Dens"),
        ("import keras.layers.Dense", ImportError, "from keras.layers import Dense"),
    ],
)  # fmt: skip
def test_a_missing_name_is_refused_by_name_with_the_nearest(statement, error, said):
    with pytest.raises(error, match=said) as caught:
        run(statement)
    assert "talweg" in str(caught.value) or "no module" in str(caught.value)


def test_probing_for_a_name_works_as_with_any_module():
    import keras

    assert not hasattr(keras.layers, "Nothing")
    assert getattr(keras.layers, "Nothing", None) is None
    assert "Dense" in dir(keras.layers)


def test_versions_compare_and_say_who_answers():
    import keras
    import tensorflow as tf

    assert keras.__version__.startswith("3.")
    assert tf.__version__.startswith("2.")
    assert talweg.__version__ in keras.__version__


def test_every_exception_to_the_rule_leads_somewhere():
    for old in names.MOVED:
        importlib.import_module(old)
    for old in names.RENAMED:
        module, _, name = old.rpartition(".")
        assert getattr(importlib.import_module(module), name) is not None
    for module in names.ALSO:
        importlib.import_module(module)
    for gone in names.INSTEAD:
        module, _, name = gone.rpartition(".")
        with pytest.raises(LookupError):
            facade.look_up(module, name)


def test_install_refuses_when_the_real_one_is_loaded_and_uninstall_leaves_nothing():
    import keras.layers  # noqa: F401

    talweg.compat.uninstall()
    assert not [name for name in sys.modules if name.partition(".")[0] == "keras"]
    assert not hasattr(models.Model, "predict_classes")
    sys.modules["keras"] = type(sys)("keras")
    try:
        with pytest.raises(RuntimeError, match="keras is imported already"):
            talweg.compat.install()
    finally:
        del sys.modules["keras"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("predict_classes", "argmax"),
        ("predict_proba", "model.predict"),
        ("fit_generator", "model.fit"),
        ("evaluate_generator", "model.evaluate"),
        ("predict_generator", "model.predict"),
    ],
)
def test_methods_that_left_keras_say_what_to_write_now(name, said):
    model = models.Sequential()
    with pytest.raises(AttributeError, match=said):
        getattr(model, name)
    assert not hasattr(model, name)


def test_decay_of_keras_2_is_its_schedule():
    with pytest.warns(UserWarning, match="InverseTimeDecay"):
        optimizer = optimizers.SGD(0.1, decay=0.5, momentum=0.9)
    assert float(optimizer.schedule(4)) == pytest.approx(0.1 / (1 + 0.5 * 4))
    assert optimizers.SGD(0.1, decay=0.0).schedule is None
    with (
        pytest.raises(ValueError, match="beside a schedule"),
    ):
        optimizers.SGD(talweg.schedules.CosineDecay(0.1, 10), decay=0.5)


def test_reset_states_of_a_model_reaches_its_stateful_layers():
    model = models.Sequential(
        [talweg.Input(batch_shape=(1, 2, 1)), layers.SimpleRNN(2, stateful=True)]
    )
    x = np.ones((1, 2, 1), "float32")
    first, second = (model.predict(x, verbose=0) for _ in range(2))
    model.reset_states()
    again = model.predict(x, verbose=0)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, again)


def test_a_step_in_the_style_of_tensorflow_is_refused_with_the_style_of_jax():
    class Taped(models.Model):
        def train_step(self, data):
            return {}

    inputs = talweg.Input((3,))
    model = Taped(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"write train_step\(self, state, data\)"):
        model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
