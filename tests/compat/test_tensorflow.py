"""The names around tf.keras: TensorFlow's arguments, defaults and results."""

import random

import numpy as np
import pytest

import talweg
from talweg import backend, layers, models

pytestmark = pytest.mark.usefixtures("hook")

X = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]], "float32")


@pytest.fixture
def tf(hook):
    import tensorflow

    return tensorflow


# Expected values follow TensorFlow's documentation, computed with NumPy.
@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda tf: tf.constant([1, 2], dtype=tf.float32), np.array([1.0, 2.0])),
        (lambda tf: tf.constant(7, shape=(2, 2)), np.full((2, 2), 7)),
        (lambda tf: tf.constant([1, 2, 3, 4], shape=(2, 2)), np.array([[1, 2], [3, 4]])),
        (lambda tf: tf.convert_to_tensor(X), X),
        (lambda tf: tf.cast(X, tf.int32), X.astype("int32")),
        (lambda tf: tf.reduce_mean(X), X.mean()),
        (lambda tf: tf.reduce_sum(X, axis=1, keepdims=True), X.sum(1, keepdims=True)),
        (lambda tf: tf.reduce_max(X, 0), X.max(0)),
        (lambda tf: tf.argmax(X), X.argmax(0)),
        (lambda tf: tf.argmax(X, axis=1), X.argmax(1)),
        (lambda tf: tf.math.argmin(X, 1), X.argmin(1)),
        (lambda tf: tf.cumsum(X), X.cumsum(0)),
        (lambda tf: tf.cumsum(X, axis=1, exclusive=True), X.cumsum(1) - X),
        (lambda tf: tf.cumsum(X, axis=1, reverse=True), X[:, ::-1].cumsum(1)[:, ::-1]),
        (lambda tf: tf.square(X), X**2),
        (lambda tf: tf.abs(-X), X),
        (lambda tf: tf.math.log(X + 1), np.log(X + 1)),
        (lambda tf: tf.math.squared_difference(X, 1.0), (X - 1) ** 2),
        (lambda tf: tf.math.multiply_no_nan([np.inf, 2.0], [0.0, 3.0]), np.array([0.0, 6.0])),
        (lambda tf: tf.add_n([X, X, X]), 3 * X),
        (lambda tf: tf.concat([X, X], axis=1), np.concatenate([X, X], 1)),
        (lambda tf: tf.stack([X, X], axis=1), np.stack([X, X], 1)),
        (lambda tf: tf.split(X, [1, -1], axis=1)[1], X[:, 1:]),
        (lambda tf: tf.split(X, 3, axis=1)[2], X[:, 2:]),
        (lambda tf: tf.reshape(X, [3, -1]), X.reshape(3, -1)),
        (lambda tf: tf.transpose(X), X.T),
        (lambda tf: tf.expand_dims(X, -1), X[..., None]),
        (lambda tf: tf.squeeze(X[None], axis=0), X),
        (lambda tf: tf.reverse(X, [1]), X[:, ::-1]),
        (lambda tf: tf.pad(X, [[0, 0], [1, 0]], constant_values=9),
         np.pad(X, [(0, 0), (1, 0)], constant_values=9)),
        (lambda tf: tf.pad(X, [[0, 0], [1, 1]], mode="REFLECT"),
         np.pad(X, [(0, 0), (1, 1)], "reflect")),
        (lambda tf: tf.gather(X, [1]), X[[1]]),
        (lambda tf: tf.gather(X, [0, 2], axis=1), X[:, [0, 2]]),
        (lambda tf: tf.boolean_mask(X, X > 2), X[X > 2]),
        (lambda tf: tf.where(X > 2), np.argwhere(X > 2)),
        (lambda tf: tf.where(X > 2, X, 0.0), np.where(X > 2, X, 0)),
        (lambda tf: tf.one_hot([0, 2], 3), np.eye(3)[[0, 2]]),
        (lambda tf: tf.one_hot([0], 2, on_value=5.0, off_value=-1.0), np.array([[5.0, -1.0]])),
        (lambda tf: tf.slice(X, [0, 1], [-1, 2]), X[:, 1:]),
        (lambda tf: tf.sort(X, direction="DESCENDING"), -np.sort(-X)),
        (lambda tf: tf.argsort(X, direction="DESCENDING"), np.argsort(-X)),
        (lambda tf: tf.unique([5, 3, 5])[0], np.array([5, 3])),
        (lambda tf: tf.range(1, 7, 2), np.arange(1, 7, 2)),
        (lambda tf: tf.linspace(0.0, 1.0, 5), np.linspace(0, 1, 5)),
        (lambda tf: tf.fill([2], 3.0), np.full(2, 3.0)),
        (lambda tf: tf.eye(2, batch_shape=[3]), np.broadcast_to(np.eye(2), (3, 2, 2))),
        (lambda tf: tf.zeros((2,)), np.zeros(2)),
        (lambda tf: tf.matmul(X, X, transpose_b=True), X @ X.T),
        (lambda tf: tf.linalg.matmul(X, X.T), X @ X.T),
        (lambda tf: tf.norm(X), np.linalg.norm(X)),
        (lambda tf: tf.clip_by_value(X, 1.0, 3.0), X.clip(1, 3)),
        (lambda tf: tf.clip_by_norm(X, 1.0), X / np.linalg.norm(X)),
        (lambda tf: tf.clip_by_global_norm([X, X], 1.0)[1], np.linalg.norm([X, X])),
        (lambda tf: tf.nn.leaky_relu(-X), -0.2 * X),
        (lambda tf: tf.nn.softmax(X), np.exp(X) / np.exp(X).sum(-1, keepdims=True)),
        (lambda tf: tf.nn.l2_loss(X), (X**2).sum() / 2),
        (lambda tf: tf.nn.l2_normalize(X, axis=1), X / np.linalg.norm(X, axis=1, keepdims=True)),
        (lambda tf: tf.nn.sigmoid_cross_entropy_with_logits(labels=[1.0, 0.0], logits=[2.0, 2.0]),
         np.array([np.log1p(np.exp(-2)), np.log1p(np.exp(2))])),
        (lambda tf: tf.nn.sparse_softmax_cross_entropy_with_logits([0, 1], X),
         np.log(np.exp(X).sum(-1)) - X[[0, 1], [0, 1]]),
        (lambda tf: tf.nn.softmax_cross_entropy_with_logits(np.eye(3)[:2], X),
         np.log(np.exp(X).sum(-1)) - X[[0, 1], [0, 1]]),
        (lambda tf: tf.math.confusion_matrix([0, 1, 2], [0, 1, 1]),
         np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]])),
        (lambda tf: tf.map_fn(lambda row: row * 2, X), 2 * X),
        (lambda tf: tf.scatter_nd([[1]], [5.0], [3]), np.array([0.0, 5.0, 0.0])),
    ],
)  # fmt: skip
def test_functions_compute_what_tensorflow_documents(tf, call, expected):
    got = call(tf)
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5)


def test_a_tf_variable_is_a_variable_of_talweg(tf):
    rate = tf.Variable(0.001, trainable=False)
    assert isinstance(rate, talweg.Variable)
    assert not rate.trainable
    assert tf.Variable([1.0]).trainable
    assert rate.numpy() == np.float32(0.001)
    rate.assign(0.01)
    assert float(rate) == pytest.approx(0.01)
    assert tf.Variable(lambda: tf.zeros((2,)), name="w").shape == (2,)
    assert tf.Variable(3, dtype=tf.float32).dtype == tf.float32
    assert isinstance(talweg.Variable(1.0), tf.Variable)
    assert isinstance(tf.constant(1.0), tf.Tensor)


def use_of_parts(tf):
    """What a program of TensorFlow does with the parts of a variable."""
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    v[0, 1].assign(9.0)
    v[1:3].assign_add([[1.0, 1.0], [2.0, 2.0]])
    v[:, 0].assign_sub(tf.constant([0.5, 0.5, 0.5]))
    v.scatter_update(tf.IndexedSlices([[7.0, 8.0]], [2]))
    v.scatter_add(tf.IndexedSlices([[1.0, 0.0], [1.0, 0.0]], [0, 0]))
    v.scatter_nd_update([[0, 1], [1, 1]], [-1.0, -2.0])
    v.scatter_nd_add([[1]], [[10.0, 10.0]])
    v.scatter_sub(tf.IndexedSlices([[1.0, 1.0]], [1]))
    v.scatter_mul(tf.IndexedSlices([[2.0, 2.0]], [1]))
    v.scatter_div(tf.IndexedSlices([[4.0, 4.0]], [1]))
    v.scatter_max(tf.IndexedSlices([[0.0, 0.0]], [0]))
    v.scatter_min(tf.IndexedSlices([[0.0, 5.0]], [2]))
    part = v[1] * 2.0 + v[0, 0]
    rows = [float(row[0]) for row in v]
    return v.numpy(), np.array(part), rows, isinstance(v[0], tf.Variable), v[1].shape[0]


OF_PARTS = ([[2.5, 0.0], [6.25, 3.5], [0.0, 5.0]], [15.0, 9.5], [2.5, 6.25, 0.0], False, 2)


def test_parts_of_a_variable_are_assigned_as_in_tensorflow(tf):
    for ours, theirs in zip(use_of_parts(tf), OF_PARTS, strict=True):
        np.testing.assert_allclose(ours, theirs)


@pytest.mark.parity
def test_parts_are_those_of_tensorflow():
    import tensorflow

    for ours, theirs in zip(use_of_parts(tensorflow), OF_PARTS, strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_minimize_steps_on_a_function_of_variables(tf):
    a, b = tf.Variable(3.0), tf.Variable([1.0, 2.0])
    optimizer = tf.keras.optimizers.SGD(0.1)
    optimizer.minimize(lambda: a**2 * tf.reduce_sum(b), [a, b])
    np.testing.assert_allclose(a.numpy(), 3 - 0.1 * 18)
    np.testing.assert_allclose(b.numpy(), np.array([1, 2]) - 0.1 * 9, rtol=1e-6)
    assert optimizer.minimize(lambda: tf.square(b[0] - 1.0), var_list=lambda: b) == 2
    np.testing.assert_allclose(b.numpy(), [0.1 + 0.1 * 1.8, 1.1], rtol=1e-5)
    with pytest.raises(TypeError, match=r"a function without arguments.*(?s:.)*jax.value_and_grad"):
        optimizer.minimize(tf.square(a), [a])


def test_minimize_keeps_what_the_function_assigns(tf):
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(1)])
    x = np.arange(8.0, dtype="float32").reshape(4, 2)
    model(x)
    seed = np.array(model.layers[1].seed_generator.state)
    optimizer = tf.keras.optimizers.Adam(0.1)
    before = model.get_weights()
    optimizer.minimize(
        lambda: tf.reduce_mean(model(x, training=True) ** 2), model.trainable_variables
    )
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert sum(moved) >= 5  # all weights and statistics, but for a beta whose gradient is 0
    assert not np.array_equal(seed, model.layers[1].seed_generator.state)


def test_a_tf_variable_as_rate_stays_live(tf):
    rate = tf.Variable(0.001, trainable=False)
    optimizer = tf.keras.optimizers.Adam(learning_rate=rate)
    tf.keras.backend.set_value(rate, 0.5)
    assert float(optimizer.learning_rate) == 0.5


def test_set_seed_repeats_weights_and_leaves_numpy_and_python_alone(tf):
    def draws():
        tf.random.set_seed(3)
        layer = layers.Dense(4)
        layer.build((None, 4))
        return layer.get_weights()[0], tf.random.normal((3,)).numpy()

    np.random.seed(0)
    random.seed(0)
    expected = np.random.RandomState(0).rand(), random.Random(0).random()
    first, second = draws(), draws()
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (np.random.rand(), random.random()) == expected


def test_draws_have_the_range_asked_for_and_rows_stay_whole(tf):
    integers = tf.random.uniform((200,), minval=2, maxval=5, dtype=tf.int32).numpy()
    assert set(integers.tolist()) == {2, 3, 4}
    rows = tf.random.shuffle(np.arange(20).reshape(10, 2)).numpy()
    assert (rows[:, 1] == rows[:, 0] + 1).all()
    assert sorted(rows[:, 0]) == list(range(0, 20, 2))


def test_gamma_draws_have_the_mean_of_their_shape_and_rate(tf):
    draws = tf.random.gamma(shape=[4000], alpha=[1.0, 6.0], beta=2.0, seed=0).numpy()
    assert draws.shape == (4000, 2)
    np.testing.assert_allclose(draws.mean(axis=0), [0.5, 3.0], rtol=0.05)


def test_a_draw_inside_a_step_is_refused_instead_of_repeated(tf):
    class Noise(layers.Layer):
        def call(self, x):
            return x + tf.random.normal(tf.shape(x))

    model = models.Sequential([Noise(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match="SeedGenerator"):
        model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0)


def test_function_is_the_identity_with_and_without_arguments(tf):
    def f(x):
        return x

    assert tf.function(f) is f
    assert tf.function(jit_compile=True)(f) is f


def test_config_answers_with_the_devices_of_jax(tf):
    assert tf.config.list_physical_devices("CPU")
    assert tf.config.list_physical_devices("TPU") == []
    assert tf.config.experimental.set_memory_growth(None, True) is None
    assert tf.config.threading.set_intra_op_parallelism_threads(1) is None
    assert tf.test.is_gpu_available() == bool(tf.config.list_physical_devices("GPU"))
    with tf.device("/CPU:0"):
        assert tf.get_logger().name == "talweg"
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)


def test_dtypes_compare_with_the_types_of_tensors(tf):
    assert tf.constant(1.0).dtype == tf.float32
    assert layers.Dense(1, dtype=tf.float16).dtype == "float16"
    assert backend.standardize_dtype(tf.bfloat16) == "bfloat16"


def test_datasets_batch_shuffle_and_map_like_tensorflows(tf):
    x = np.arange(10)
    data = tf.data.Dataset.from_tensor_slices((x, x * 2))
    assert len(data) == 10
    assert [len(batch[0]) for batch in data.batch(4)] == [4, 4, 2]
    assert len(data.batch(4)) == 3
    assert len(data.batch(4, drop_remainder=True)) == len(list(data.batch(4, drop_remainder=True)))
    shuffled = data.shuffle(10, seed=1)
    first, second = ([int(a) for a, _ in shuffled] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != list(range(10))
    fixed = data.shuffle(3, seed=1, reshuffle_each_iteration=False)
    assert [int(a) for a, _ in fixed] == [int(a) for a, _ in fixed]
    assert all(abs(int(a) - at) <= 10 for at, (a, _) in enumerate(fixed))
    assert all((b == 2 * a).all() for a, b in shuffled.batch(3))
    assert [int(a) for a, _ in data.skip(8).repeat(2)] == [8, 9, 8, 9]
    assert [int(a) for a, _ in data.repeat().take(12)][-2:] == [0, 1]
    assert [int(a) for a in data.map(lambda a, b: a + b).take(3)] == [0, 3, 6]
    assert [int(a) for a, _ in data.filter(lambda a, b: a > 7)] == [8, 9]
    assert [int(a) for a, _ in data.shard(5, 1)] == [1, 6]
    assert [int(a) for a, _ in data.batch(4).unbatch()] == list(range(10))
    assert [i for i, _ in data.enumerate()] == list(range(10))
    cached = data.shuffle(10, seed=2).cache()
    assert [int(a) for a, _ in cached] == [int(a) for a, _ in cached]
    zipped = tf.data.Dataset.zip((tf.data.Dataset.range(3), tf.data.Dataset.range(5)))
    assert len(zipped) == len(list(zipped)) == 3
    rows = tf.data.Dataset.from_tensor_slices({"a": [1, 2], "b": [[1.0], [2.0]]})
    assert next(iter(rows.batch(2)))["b"].shape == (2, 1)


def test_datasets_refuse_what_they_lack_by_name(tf):
    with pytest.raises(AttributeError, match=r"no 'group_by_window'.*from_tensor_slices"):
        tf.data.Dataset.range(3).group_by_window(2)
    with pytest.raises(AttributeError, match="no 'list_files'"):
        tf.data.Dataset.list_files("*")
    with pytest.raises(ValueError, match="one length"):
        tf.data.Dataset.from_tensor_slices(([1], [1, 2]))
    with pytest.raises(ValueError, match="positive"):
        tf.data.Dataset.range(3).batch(0)


def numbers(dataset):
    return [np.asarray(element).tolist() for element in dataset]


def test_windows_are_cut_as_tensorflow_documents(tf):
    data = tf.data.Dataset.range(7)
    windows = [numbers(window) for window in data.window(3)]
    assert windows == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(data.window(3)) == 3
    windows = data.window(3, shift=1, stride=2, drop_remainder=True)
    assert [numbers(window) for window in windows] == [[0, 2, 4], [1, 3, 5], [2, 4, 6]]
    assert len(windows) == 3
    assert [numbers(window) for window in data.window(2, shift=3)] == [[0, 1], [3, 4], [6]]
    pairs = tf.data.Dataset.from_tensor_slices((np.arange(4), np.arange(4) * 10)).window(2)
    assert [(numbers(x), numbers(y)) for x, y in pairs] == [([0, 1], [0, 10]), ([2, 3], [20, 30])]
    zipped = pairs.flat_map(lambda x, y: tf.data.Dataset.zip((x.batch(2), y.batch(2))))
    assert [(x.tolist(), y.tolist()) for x, y in zipped] == [([0, 1], [0, 10]), ([2, 3], [20, 30])]
    with pytest.raises(ValueError, match="shift"):
        data.window(2, shift=0)


def test_datasets_are_joined_interleaved_reduced_and_padded(tf):
    Dataset = tf.data.Dataset
    assert numbers(Dataset.range(2).concatenate(Dataset.range(5, 7))) == [0, 1, 5, 6]
    assert len(Dataset.range(2).concatenate(Dataset.range(5, 7))) == 4
    # The example of tf.data's documentation, with its order.
    turns = Dataset.range(1, 6).interleave(
        lambda x: Dataset.from_tensors(x).repeat(6), cycle_length=2, block_length=4
    )
    documented = [1] * 4 + [2] * 4 + [1] * 2 + [2] * 2 + [3] * 4 + [4] * 4 + [3] * 2 + [4] * 2
    assert numbers(turns) == documented + [5] * 6
    assert int(Dataset.range(5).reduce(0, lambda total, n: total + n)) == 10
    ragged = Dataset.from_generator(lambda: iter([[1], [2, 3], [4, 5, 6]]))
    assert numbers(ragged.padded_batch(2)) == [[[1, 0], [2, 3]], [[4, 5, 6]]]
    assert numbers(ragged.padded_batch(3, padded_shapes=(4,), padding_values=9))[0][0] == [
        1,
        9,
        9,
        9,
    ]
    assert numbers(Dataset.range(3).apply(lambda data: data.batch(2))) == [[0, 1], [2]]


def test_elements_have_the_methods_of_tensors_and_train(tf):
    data = tf.data.Dataset.from_tensor_slices((np.eye(3, dtype="float32"), [0, 1, 2]))
    for x, label in data.take(1):
        assert type(x.numpy()) is np.ndarray
        assert label.numpy() == 0
        assert x[0].numpy() == 1.0
        assert x.shape == (3,)
    words = tf.data.Dataset.from_tensor_slices(["one", "two"])
    assert [word.numpy().decode() for word in words] == ["one", "two"]
    assert [type(x) for x in tf.data.Dataset.range(1).as_numpy_iterator()] == [np.int64]
    assert data.batch(2).element_spec[0].shape == (2, 3)


def test_text_is_standardized_as_in_the_guides(tf):
    def standardized(text):
        text = tf.strings.regex_replace(tf.strings.lower(text), "<br />", " ")
        return tf.strings.regex_replace(text, "[!?]", "")

    vectors = layers.TextVectorization(standardize=standardized, output_sequence_length=3)
    data = tf.data.Dataset.from_tensor_slices((["B b<br />A!", "c?"], [0, 1])).batch(2)
    vectors.adapt(data.map(lambda text, label: text))
    assert vectors.get_vocabulary() == ["", "[UNK]", "b", "c", "a"]
    encoded = data.map(lambda text, label: (vectors(tf.expand_dims(text, -1)), label))
    assert next(iter(encoded))[0].tolist() == [[2, 2, 4], [3, 0, 0]]
    assert vectors(tf.constant(["A c"])).tolist() == [[4, 3, 0]]


def test_functions_of_text_are_those_of_tensorflow(tf):
    words = tf.constant([[" Aé ", b"b"]])
    assert tf.strings.strip(words).numpy().tolist() == [["Aé".encode(), b"b"]]
    assert tf.strings.upper(words).tolist() == [[" AÉ ", "B"]]
    assert tf.strings.length(words).tolist() == [[5, 1]]
    assert tf.strings.length(words, unit="UTF8_CHAR").tolist() == [[4, 1]]
    assert tf.strings.join([words, "!"], separator="-").tolist() == [[" Aé -!", "b-!"]]
    assert tf.strings.regex_full_match(words, "b+").tolist() == [[False, True]]
    assert tf.strings.regex_replace("aaa", "a", "b", replace_global=False).numpy() == b"baa"
    assert tf.squeeze(tf.reshape(words, (2, 1)), -1).shape == (2,)


def test_elements_have_the_types_of_tensorflow(tf):
    Dataset = tf.data.Dataset
    kinds = [x.dtype for x in next(iter(Dataset.from_tensor_slices(([1], [1.0], [[True]]))))]
    assert kinds == ["int32", "float32", "bool"]
    assert next(iter(Dataset.from_tensor_slices(np.ones(2)))).dtype == "float64"
    signature = (tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.int32))

    def pairs(count):
        yield from ((i, i * 10) for i in range(count))

    data = Dataset.from_generator(pairs, args=(3,), output_signature=signature)
    assert [(float(a), int(b)) for a, b in data] == [(0, 0), (1, 10), (2, 20)]
    assert [x.dtype for x in next(iter(data))] == ["float32", "int32"]
    old = Dataset.from_generator(lambda: iter([1, 2]), output_types=tf.float32)
    assert next(iter(old)).dtype == "float32"
    words = Dataset.from_tensor_slices(["a", "b"])
    assert next(words.batch(2).as_numpy_iterator()).tolist() == [b"a", b"b"]
    assert tf.data.experimental.cardinality(words).numpy() == 2
    assert len(words.take(tf.data.experimental.cardinality(words) // 2)) == 1
    assert list(words.skip(-1)) == []


def test_an_endless_dataset_needs_a_number_of_steps(tf):
    data = tf.data.Dataset.from_tensor_slices((np.ones((6, 2)), np.ones((6, 1))))
    endless = data.repeat().batch(2)
    assert int(endless.cardinality()) == tf.data.INFINITE_CARDINALITY
    assert int(data.filter(lambda x, y: True).cardinality()) == tf.data.UNKNOWN_CARDINALITY
    model = models.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(endless, verbose=0)
    assert len(model.fit(endless, steps_per_epoch=4, verbose=0).history["loss"]) == 1


def test_the_old_backend_keeps_its_defaults(hook):
    from keras import backend as K

    assert K.argmax(X).tolist() == X.argmax(-1).tolist()
    assert K.concatenate([X, X]).shape == (2, 6)
    np.testing.assert_allclose(
        K.l2_normalize(X, axis=1), X / np.linalg.norm(X, axis=1)[:, None], rtol=1e-6
    )
    assert K.int_shape(talweg.Input((3,))) == (None, 3)
    assert K.batch_flatten(np.ones((2, 3, 4))).shape == (2, 12)
    np.testing.assert_allclose(K.dot(X, X.T), X @ X.T)
    np.testing.assert_allclose(K.batch_dot(X, X)[:, 0], (X * X).sum(1))
    assert float(K.relu(9.0, max_value=6)) == 6.0
    assert K.eval(K.constant(2.0, shape=(2,))).tolist() == [2.0, 2.0]
    variable = K.variable(1.0)
    K.update_add(variable, 2.0)
    assert K.get_value(variable) == 3.0
    assert K.cast_to_floatx(np.float64(1)).dtype == K.floatx()
    assert float(K.switch(True, lambda: 1.0, 2.0)) == 1.0


def test_a_number_comes_out_as_a_numpy_scalar_which_round_takes(tf):
    for one in (tf.constant(2.71828), tf.Variable(2.71828), talweg.Variable(2.71828)):
        assert isinstance(one.numpy(), np.float32)
        assert round(one.numpy(), 2) == np.float32(2.72)
    assert isinstance(tf.keras.backend.get_value(tf.Variable(1.5)), np.float32)
    assert isinstance(tf.Variable([1.0]).numpy(), np.ndarray)


def test_the_curves_answer_to_the_old_name_of_the_rate(tf):
    import pickle

    model = models.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(tf.keras.optimizers.SGD(0.1), "mse")
    curves = model.fit(X, X[:, :1], epochs=2, verbose=0).history
    assert curves["lr"] == curves["learning_rate"] == [np.float32(0.1)] * 2
    assert sorted(curves) == ["learning_rate", "loss"]
    with pytest.raises(KeyError, match="val_loss"):
        curves["val_loss"]
    assert type(pickle.loads(pickle.dumps(curves))) is dict


def test_pixels_of_channels_as_tensorflow_orders_them(tf):
    picture = np.arange(16.0).reshape(1, 2, 2, 4)
    spread = tf.nn.depth_to_space(picture, 2)
    assert spread.numpy()[0, :, :, 0].tolist() == [
        [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]
    ]  # fmt: skip
    np.testing.assert_array_equal(tf.nn.space_to_depth(spread, 2), picture)
    first = tf.nn.depth_to_space(picture.transpose(0, 3, 1, 2), 2, data_format="NCHW")
    np.testing.assert_array_equal(first[:, 0], spread[..., 0])


def test_results_and_errors_have_the_names_of_tensorflow(tf):
    found = tf.math.top_k([1.0, 3.0, 2.0], k=2)
    assert (found.values.tolist(), found.indices.tolist()) == ([3.0, 2.0], [1, 2])
    shape = tf.TensorShape([None, 3])
    assert (shape.as_list(), shape.rank, shape.num_elements()) == ([None, 3], 2, None)
    assert shape == (None, 3)
    assert tf.TensorShape((2, 3)).num_elements() == 6
    model = models.Sequential([layers.Input((3,)), layers.Dense(1)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
        model.predict(np.zeros((2, 5)))


def test_text_is_a_tensor_that_layers_of_text_take(tf):
    words = tf.constant(["the cat", "the dog"])
    assert isinstance(words, np.ndarray)
    assert (words.shape, words.numpy().tolist()) == ((2,), [b"the cat", b"the dog"])
    vectorize = tf.keras.layers.TextVectorization()
    vectorize.adapt(words)
    assert vectorize(words).numpy().tolist() == [[2, 4], [2, 3]]
    assert tf.constant([[1.0]]).dtype == tf.float32
