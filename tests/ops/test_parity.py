"""Every function of keras.ops, on one example each or more, gives what Keras gives."""

import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from talweg import ops

_rng = np.random.default_rng(0)
X = _rng.normal(size=(3, 4)).astype("float32")
Y = _rng.normal(size=(3, 4)).astype("float32")
U = _rng.uniform(0.1, 0.9, size=(3, 4)).astype("float32")
INT = _rng.integers(0, 5, size=(3, 4)).astype("int32")
J = _rng.integers(1, 4, size=(3, 4)).astype("int32")
B = X > 0
N = np.where(X > 1, np.nan, X).astype("float32")
M = X[:, :3]
S = M @ M.T + np.eye(3, dtype="float32")
V = X[0]
SEQ = _rng.normal(size=(2, 6, 4)).astype("float32")
IMG = _rng.normal(size=(2, 6, 7, 4)).astype("float32")
IMGF = IMG.transpose(0, 3, 1, 2).copy()
K = _rng.normal(size=(3, 2, 4, 5)).astype("float32")
KG = _rng.normal(size=(3, 2, 2, 6)).astype("float32")
KT = _rng.normal(size=(3, 2, 5, 4)).astype("float32")
KD = _rng.normal(size=(3, 2, 4, 2)).astype("float32")
P = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
T = np.eye(4, dtype="float32")[:3]
Q = _rng.normal(size=(2, 5, 2, 4)).astype("float32")
Z = (X + 1j * Y).astype("complex64")
SIG = _rng.normal(size=(2, 32)).astype("float32")


class Args:
    """Positional and keyword arguments of one call."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


def _words(text):
    return text.split()


A = Args
UNARY = _words(
    """
    abs absolute angle arcsinh arctan cbrt ceil celu conj conjugate copy cos cosh deg2rad elu erf
    erfc exp exp2 expm1 fabs fliplr flipud floor gelu glu hard_shrink hard_sigmoid hard_silu
    hard_swish hard_tanh i0 isfinite isinf isnan isneginf isposinf isreal leaky_relu log_sigmoid
    log_softmax logical_not negative normalize rad2deg ravel reciprocal relu relu6 selu sigmoid sign
    signbit silu sin sinc sinh soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    square squareplus squeeze swish tan tanh tanh_shrink trunc nonzero layer_normalization
    rms_normalization sort argsort transpose stop_gradient convert_to_tensor array nan_to_num flip
    """
)
BINARY = _words(
    """
    add arctan2 divide divide_no_nan equal fmax fmin fmod greater greater_equal heaviside hypot less
    less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mod multiply
    nextafter not_equal subtract true_divide floor_divide isclose allclose append inner outer vdot
    """
)
REDUCTIONS = _words(
    """
    all any amax amin argmax argmin logsumexp max mean median min nanargmax nanargmin nanmax nanmean
    nanmedian nanmin nanprod nanstd nansum nanvar prod ptp std sum var
    """
)
BITS = _words(
    """
    bitwise_and bitwise_or bitwise_xor left_shift right_shift bitwise_left_shift
    bitwise_right_shift
    """
)

CASES: dict[str, list[Args]] = {name: [A(X)] for name in UNARY}
CASES |= {name: [A(X, Y), A(X, 2.0), A(INT, J)] for name in BINARY}
CASES["nextafter"] = [A(X, Y)]
for _name in ("inner", "outer", "vdot"):
    CASES[_name] = [A(X, Y)]
CASES |= {
    name: [A(X), A(X, axis=0), A(X, axis=1, keepdims=True), A(INT, axis=1)] for name in REDUCTIONS
}
for _name in ("nanmax", "nansum", "nanmean", "nanstd"):
    CASES[_name].append(A(N, axis=0))
CASES |= {name: [A(INT, J)] for name in BITS}
for _name in ("sqrt", "log", "log10", "log1p", "log2", "rsqrt", "arccos", "arcsin", "arctanh"):
    CASES[_name] = [A(U)]
for _name in ("exp", "sin", "floor", "ceil", "sigmoid", "angle", "i0", "trunc", "square", "sign"):
    if _name != "sigmoid":
        CASES[_name].append(A(INT))
CASES["log"].append(A(J))
CASES["sqrt"].append(A(J))
for _name in ("bartlett", "blackman", "hamming", "hanning"):
    CASES[_name] = [A(8)]
CASES |= {
    "adaptive_average_pool": [A(IMG, (3, 2)), A(SEQ, 4), A(IMGF, 2, data_format="channels_first")],
    "adaptive_max_pool": [A(IMG, (4, 3)), A(SEQ, 5)],
    "arange": [A(5), A(1, 7, 2), A(0.0, 1.0, 0.25), A(3, dtype="float32")],
    "arccosh": [A(U + 1)],
    "argpartition": [A(V, 2)],
    "array_split": [A(X, 3, axis=1)],
    "associative_scan": [A(lambda a, b: a + b, X)],
    "average": [A(X), A(X, axis=1, weights=U), A(INT)],
    "average_pool": [
        A(IMG, 2, 2),
        A(IMG, (2, 3), (1, 2), "same"),
        A(IMGF, 3, 2, "same", "channels_first"),
        A(SEQ, 2, 1),
    ],
    "batch_normalization": [
        A(X, V, V**2, -1),
        A(IMG, V, V**2, -1, offset=V, scale=V + 1, epsilon=1e-5),
        A(IMGF, V, V**2, 1, offset=V, scale=V + 1),
    ],
    "binary_crossentropy": [A(B.astype("float32"), U), A(B.astype("float32"), X, from_logits=True)],
    "bincount": [A(INT[0]), A(INT, minlength=7), A(INT[0], weights=V), A(INT[:1])],
    "bitwise_invert": [A(INT)],
    "bitwise_not": [A(INT)],
    "broadcast_to": [A(V, (2, 4))],
    "cast": [A(X, "int32"), A(INT, "float32"), A(X, "bfloat16"), A(X, "bool")],
    "categorical_crossentropy": [A(T, P), A(T, X, from_logits=True), A(T.T, P.T, axis=0)],
    "cdist": [A(X, Y)],
    "cholesky": [A(S), A(S, upper=True)],
    "cholesky_inverse": [A(np.linalg.cholesky(S))],
    "clip": [A(X, -0.5, 0.5), A(INT, 1, 3), A(B, 0, 1)],
    "concatenate": [A([X, Y]), A([X, Y], axis=1)],
    "cond": [A(True, lambda: X, lambda: Y)],
    "conv": [
        A(IMG, K),
        A(IMG, K, (2, 1), "same"),
        A(IMG, K, 1, "same", dilation_rate=2),
        A(IMGF, K, 2, "valid", "channels_first"),
        A(IMG, KG),
        A(SEQ, K[0]),
        A(IMG[:, None], K[None]),
    ],
    "conv_transpose": [
        A(IMG, KT),
        A(IMG, KT, 2, "same"),
        A(IMG, KT, (3, 2), "valid"),
        A(IMG, KT, 2, "same", output_padding=1),
        A(IMG, KT, 2, "valid", output_padding=1),
        A(IMG, KT, 1, "valid", dilation_rate=2),
        A(IMGF, KT, 3, "same", data_format="channels_first"),
    ],
    "convert_to_numpy": [A(X)],
    "corrcoef": [A(X), A(INT)],
    "correlate": [A(V, V[:2]), A(V, V[:2], mode="full")],
    "count_nonzero": [A(INT), A(INT, axis=0)],
    "cross": [A(M, M[::-1])],
    "ctc_decode": [
        A(SEQ, np.array([6, 4])),
        A(SEQ, np.array([6, 4]), merge_repeated=False),
        A(SEQ, np.array([6, 4]), "beam_search", 5, 3),
        A(SEQ, np.array([6, 4]), "beam_search", 2),
    ],
    "ctc_loss": [A(np.array([[1, 2, 2], [3, 1, 0]]), SEQ, np.array([3, 2]), np.array([6, 5]))],
    "cumprod": [A(X), A(X, axis=1)],
    "cumsum": [A(X), A(X, axis=1), A(INT, axis=0)],
    "depth_to_space": [A(IMG, 2), A(IMGF, 2, "channels_first")],
    "depthwise_conv": [A(IMG, KD), A(IMG, KD, 2, "same"), A(IMGF, KD, 1, "same", "channels_first")],
    "det": [A(S)],
    "diag": [A(V), A(X, k=1)],
    "diagflat": [A(V)],
    "diagonal": [A(X, offset=1)],
    "diff": [A(X), A(X, n=2, axis=0)],
    "digitize": [A(X, np.array([-1.0, 0.0, 1.0], "float32"))],
    "dot": [A(X, Y.T), A(X, 2.0)],
    "dot_product_attention": [
        A(Q, Q, Q),
        A(Q, Q[:, :3], Q[:, :3], scale=0.3),
        A(Q, Q, Q, is_causal=True),
        A(Q, Q, Q, bias=_rng.normal(size=(2, 2, 5, 5)).astype("float32")),
        A(Q, Q, Q, mask=np.tri(5, dtype=bool)[None, None], is_causal=True),
    ],
    "dsplit": [A(SEQ, 2)],
    "dstack": [A([X, Y])],
    "dtype": [A(X), A(INT)],
    "einsum": [
        A("ij,kj->ik", X, Y),
        A("ij->j", X),
        A("ij,kj->ik", *[INT.astype("int8")] * 2),
    ],
    "empty": [A((2, 3))],
    "empty_like": [A(X)],
    "erfinv": [A(U)],
    "expand_dims": [A(X, 1), A(X, (0, -1))],
    "extract_sequences": [A(SIG, 6, 3)],
    "eye": [A(3), A(3, 4, 1, "int32")],
    "fft": [A((X, Y))],
    "fft2": [A((X, Y))],
    "fold": [A(_rng.normal(size=(2, 12, 12)).astype("float32"), (4, 5), 2)],
    "fori_loop": [A(0, 3, lambda i, v: v * 2.0 + i, X)],
    "full": [A((2, 2), 3.0), A((2,), 3, "int32")],
    "full_like": [A(X, 2.0)],
    "gcd": [A(INT, J)],
    "geomspace": [A(1.0, 8.0, 4)],
    "get_item": [A(X, (slice(1), 2))],
    "histogram": [A(V, 5), A(V, 4, (-1.0, 1.0))],
    "hsplit": [A(X, 2)],
    "hstack": [A([X, Y])],
    "identity": [A(3)],
    "ifft2": [A((X, Y))],
    "imag": [A(Z)],
    "in_top_k": [A(INT[0] % 4, _rng.normal(size=(4, 4)).astype("float32"), 2)],
    "inv": [A(S)],
    "irfft": [A((X, Y)), A((X, Y), 6)],
    "is_tensor": [A(X), A(jnp.ones(2))],
    "isin": [A(INT, np.array([1, 2])), A(INT, [1, 2], invert=True)],
    "jvp": [A(jnp.sin, (jnp.asarray(V),), (jnp.ones(4),))],
    "kaiser": [A(8, 3.0)],
    "kron": [A(X, Y)],
    "lcm": [A(INT, J)],
    "ldexp": [A(X, J)],
    "linspace": [A(0.0, 1.0, 5), A(0, 10, 3, endpoint=False), A(V, V + 1, 3, axis=1)],
    "logdet": [A(S)],
    "logspace": [A(0.0, 2.0, 3), A(0.0, 2.0, 3, base=2)],
    "lstsq": [A(X, X[:, 0])],
    "lu_factor": [A(S)],
    "map": [A(lambda v: v * 2.0, X)],
    "matmul": [A(X, Y.T), A(SEQ, X.T), A(INT.astype("int8"), INT.T.astype("int8")), A(V, V)],
    "matrix_rank": [A(S)],
    "max_pool": [
        A(IMG, 2, 2),
        A(IMG, (2, 3), (1, 2), "same"),
        A(IMGF, 3, 2, "same", "channels_first"),
        A(SEQ, 2, 1),
    ],
    "meshgrid": [A(V, V[:2]), A(V, V[:2], indexing="ij")],
    "moments": [A(X, [0]), A(IMG, (0, 1, 2), keepdims=True), A(X.astype("float16"), 1)],
    "moveaxis": [A(SEQ, 0, -1)],
    "multi_hot": [A(INT, 6), A(INT[0], 6)],
    "nancumprod": [A(N, axis=0)],
    "nancumsum": [A(N, axis=0)],
    "nanpercentile": [A(N, 30.0, axis=0)],
    "nanquantile": [A(N, 0.3, axis=0)],
    "ndim": [A(X)],
    "norm": [A(X), A(X, ord=1, axis=1), A(S, ord="fro"), A(X, axis=0, keepdims=True), A(INT)],
    "one_hot": [A(INT, 6), A(INT, 6, axis=0, dtype="int32"), A(INT - 1, 3)],
    "ones": [A((2, 3)), A((2,), "int32")],
    "ones_like": [A(X), A(INT), A(X, dtype="int32")],
    "pad": [A(X, ((1, 0), (0, 2))), A(X, 1, "reflect"), A(X, 1, constant_values=3.0)],
    "percentile": [A(X, 30.0), A(X, [30.0, 60.0], axis=0, keepdims=True)],
    "pinv": [A(X)],
    "polar": [A(U, X)],
    "power": [A(U, Y), A(U, 2), A(INT, 2)],
    "psnr": [A(X, Y, 2.0)],
    "qr": [A(X.T)],
    "quantile": [A(X, 0.3), A(X, [0.3, 0.6], axis=0), A(X, 0.4, method="nearest")],
    "real": [A(Z)],
    "rearrange": [
        A(X, "a b -> b a"),
        A(IMG, "n (h k) w c -> n h w (c k)", k=2),
        A(SEQ, "b t c -> b (t c)"),
    ],
    "repeat": [A(X, 2), A(X, 2, axis=1), A(X, np.array([1, 2, 3]), axis=0)],
    "reshape": [A(X, (2, 6)), A(X, (-1,))],
    "rfft": [A(X), A(X, 6)],
    "roll": [A(X, 1), A(X, 1, axis=1)],
    "rot90": [A(X), A(X, k=2)],
    "round": [A(X), A(X, 1), A(INT * 37, -1)],
    "saturate_cast": [A(X * 300, "uint8"), A(INT * 100, "int8"), A(X * 1e6, "float16")],
    "scan": [A(lambda c, x: (c + x, c * x), V, X), A(lambda c, x: (c + 1.0, c), V, None, 3)],
    "scatter": [A(np.array([[0], [2], [0]]), X, (4, 4))],
    "scatter_update": [
        A(X, np.array([[0, 1], [2, 3]]), np.array([9.0, 8.0], "float32")),
        A(X, np.array([[0], [2]]), X[:2], "add"),
        A(X, np.array([[0], [2]]), X[:2], "max"),
    ],
    "searchsorted": [A(np.sort(V), X[1]), A(np.sort(V), X[1], side="right")],
    "segment_max": [A(X, np.array([0, 0, 1]), 2)],
    "segment_min": [A(X, np.array([0, 0, 1]), 2)],
    "segment_prod": [A(X, np.array([0, 1, 1]), 3)],
    "segment_sum": [A(X, np.array([0, 1, 1]), 3), A(X, np.array([0, 1, 1]), 3, sorted=True)],
    "select": [A([X > 1, X > 0], [X, Y], 5.0)],
    "separable_conv": [A(IMG, KD, _rng.normal(size=(1, 1, 8, 3)).astype("float32"), 2, "same")],
    "shape": [A(X)],
    "size": [A(X)],
    "slice": [A(X, (1, 1), (2, 2))],
    "slice_update": [A(X, (1, 1), Y[:2, :2])],
    "slogdet": [A(S)],
    "solve": [A(S, M)],
    "solve_triangular": [A(np.tril(S), M, lower=True)],
    "space_to_depth": [A(IMG[:, :, :6], 2), A(IMGF[:, :, :, :6], 2, "channels_first")],
    "sparse_categorical_crossentropy": [
        A(INT[:, 0] % 4, P),
        A(INT[:, :1] % 4, X, from_logits=True),
    ],
    "sparsemax": [A(np.array([[3.0, 0.1, -1.0]], "float32"))],
    "split": [A(X, 2, axis=1), A(X, [1], axis=0)],
    "stack": [A([X, Y]), A([X, Y], axis=-1)],
    "stft": [A(SIG, 8, 4, 16), A(SIG, 8, 4, 8, "hamming", False), A(SIG, 8, 4, 8, None)],
    "istft": [
        A((_rng.normal(size=(2, 7, 9)).astype("float32"),) * 2, 16, 8, 16),
        A((_rng.normal(size=(2, 7, 9)).astype("float32"),) * 2, 16, 8, 16, 30, "hamming", False),
    ],
    "svd": [A(X, compute_uv=False)],
    "swapaxes": [A(SEQ, 0, 2)],
    "switch": [A(1, [lambda x: x, lambda x: x * 2.0], X)],
    "take": [A(X, [0, 2], axis=1), A(X, np.array([[0, 1]]), axis=0), A(X, 3)],
    "take_along_axis": [A(X, INT % 3, axis=0)],
    "tensordot": [A(X, Y.T, 1), A(X, Y, [[0, 1], [0, 1]])],
    "threshold": [A(X, 0.5, -1.0)],
    "tile": [A(X, (2, 1))],
    "top_k": [A(X, 2)],
    "trace": [A(X)],
    "trapezoid": [A(X), A(X, dx=0.5, axis=0)],
    "tri": [A(3), A(3, 4, 1)],
    "tril": [A(X), A(X, 1)],
    "triu": [A(X, -1)],
    "unfold": [A(IMGF, 2), A(IMGF, (3, 2), 1, 1, 2)],
    "unique": [A(INT), A(INT, return_counts=True)],
    "unravel_index": [A(np.array([3, 7]), (3, 4))],
    "unstack": [A(X), A(X, axis=1)],
    "vander": [A(V), A(V, 3, True)],
    "vectorized_map": [A(lambda v: v.sum(), X)],
    "view": [A(X, "int32")],
    "view_as_complex": [A(X.reshape(3, 2, 2))],
    "view_as_real": [A(Z)],
    "vsplit": [A(X, 3)],
    "vstack": [A([X, Y])],
    "where": [A(B, X, Y), A(B, X, 0.0), A(B)],
    "while_loop": [
        A(lambda i, v: i < 3, lambda i, v: (i + 1, v * 2.0), (jnp.int32(0), jnp.asarray(V))),
        A(lambda v: v < 100, lambda v: v + 1, jnp.int32(0), maximum_iterations=4),
    ],
    "zeros": [A((2, 3)), A(4, "int32")],
    "zeros_like": [A(X), A(INT)],
}
CASES["clip"].append(A(X, V, 2.0))
CASES["normalize"] += [A(X, 0), A(X, order=3)]
CASES["layer_normalization"] += [A(X, V, V + 1), A(IMG, axis=(1, 2)), A(X.astype("float16"))]
CASES["rms_normalization"] += [A(X, V), A(SEQ, axis=1)]
CASES["gelu"] += [A(X, False)]
CASES["softmax"] += [A(X, 0), A(SEQ, (1, 2))]
CASES["transpose"] += [A(SEQ, (0, 2, 1))]
CASES["sort"] += [A(X, 0)]
CASES["array"] += [A([1, 2]), A([1.0, 2.0], "int32")]
CASES["convert_to_tensor"] += [A(1.5), A([[1, 2]]), A(np.array([1.5])), A(INT, "float32"), A(3)]
CASES["mean"] += [A(B), A(np.full((100,), 6e4, "float16"))]
CASES["var"] += [A(np.full((100,), 600, "float16"))]
CASES["max"] += [A(X, initial=5.0)]

ELSEWHERE = {
    "custom_gradient": "test_gradients_given_by_hand_replace_the_derivative",
    "vectorize": "test_vectorize_maps_a_scalar_function",
    "eig": "test_eigendecompositions_rebuild_the_matrix",
    "eigh": "test_eigendecompositions_rebuild_the_matrix",
}


def _names():
    return sorted(n for n in dir(keras.ops) if callable(getattr(keras.ops, n)) and n[0] != "_")


def test_every_function_of_keras_is_here_and_compared():
    names = set(_names())
    assert names <= set(ops.__all__)
    assert names == set(CASES) | set(ELSEWHERE)


def _same(ours, theirs, name):
    assert jax.tree.structure(_plain(ours)) == jax.tree.structure(_plain(theirs)), name
    for a, b in zip(jax.tree.leaves(_plain(ours)), jax.tree.leaves(_plain(theirs)), strict=True):
        if isinstance(b, (bool, str, int)) and not hasattr(b, "dtype"):
            assert a == b, name
            continue
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        wide = a.dtype.name in ("bfloat16", "float16")
        a, b = (a.astype("float32"), b.astype("float32")) if wide else (a, b)
        tolerance = 2e-3 if wide else 2e-5
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=name)


def _plain(tree):
    return tuple(tree) if isinstance(tree, (list, tuple)) else tree


# Their results depend on values, or are no arrays, or they take functions without arguments.
NOT_SYMBOLIC = _words("bincount unique nonzero repeat view convert_to_numpy dtype is_tensor cond")


class _Call:
    """One op on one example: its arrays apart, so that many calls can be one program."""

    def __init__(self, name, place, case):
        self.name, self.place, self.case = name, place, case
        leaves, self.tree = jax.tree.flatten((case.args, case.kwargs))
        self.leaves = leaves
        self.arrays = {i: leaf for i, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray)}

    def run(self, module, arrays):
        filled = [arrays.get(i, leaf) for i, leaf in enumerate(self.leaves)]
        args, kwargs = jax.tree.unflatten(self.tree, filled)
        return getattr(module, self.name)(*args, **kwargs)

    def eagerly(self, module):
        try:
            return self.run(module, self.arrays)
        except Exception as error:
            raise AssertionError(f"{module.__name__}.{self.name} fails on its example") from error

    def can_be_traced(self):
        if self.name in ("shape", "ndim", "size"):  # plain numbers, which jit makes arrays
            return False
        try:
            for module in (ops, keras.ops):
                jax.eval_shape(lambda arrays, m=module: self.run(m, arrays), self.arrays)
        except Exception:  # its result depends on values, or is no array
            return False
        return True


@pytest.mark.parametrize("letter", sorted({name[0] for name in CASES}))
def test_values_shapes_types_and_symbolic_shapes_are_those_of_keras(letter):
    calls = [
        _Call(name, i, case)
        for name, cases in CASES.items()
        if name[0] == letter
        for i, case in enumerate(cases)
    ]
    # Compiled one by one, the small programs would take minutes.
    traced = [call for call in calls if call.can_be_traced()]
    together = jax.jit(
        lambda arrays: [
            tuple(call.run(module, given) for module in (ops, keras.ops))
            for call, given in zip(traced, arrays, strict=True)
        ]
    )([call.arrays for call in traced])
    pairs = list(zip(traced, together, strict=True))
    alone = {id(call) for call in calls} - {id(call) for call in traced}
    pairs += [
        (call, (call.eagerly(ops), call.eagerly(keras.ops))) for call in calls if id(call) in alone
    ]
    assert len(pairs) == len(calls)
    for call, (ours, theirs) in pairs:
        _same(ours, theirs, call.name)
        if call.place == 0 and call.name not in NOT_SYMBOLIC:
            _tells_shapes(call.name, call.case, ours)


def _tells_shapes(name, case, real):
    """With KerasTensors for its arrays, the op returns KerasTensors like its results."""
    if not any(map(_floating, jax.tree.leaves(case.args))):
        return
    symbolic = jax.tree.map(
        lambda leaf: ops.KerasTensor(leaf.shape, leaf.dtype) if _floating(leaf) else leaf,
        case.args,
    )
    try:
        spec = getattr(ops, name)(*symbolic, **case.kwargs)
    except Exception as error:
        raise AssertionError(f"ops.{name} fails symbolically") from error
    for a, b in zip(jax.tree.leaves(_plain(spec)), jax.tree.leaves(_plain(real)), strict=True):
        if hasattr(b, "shape"):
            assert isinstance(a, ops.KerasTensor), name
            assert (a.shape, a.dtype) == (tuple(b.shape), str(b.dtype)), name
        else:
            assert a == b, name


def _floating(leaf):
    return isinstance(leaf, np.ndarray) and leaf.dtype == np.float32


def test_eigendecompositions_rebuild_the_matrix():
    w, v = ops.eigh(S)
    np.testing.assert_allclose(v * w @ v.T, S, atol=1e-4)
    w, v = ops.eig(S)
    np.testing.assert_allclose((v * w) @ ops.inv(v), S, atol=1e-4)


def test_vectorize_maps_a_scalar_function():
    double_first = ops.vectorize(lambda a, b: a * 2 + b)
    np.testing.assert_allclose(double_first(X, 1.0), X * 2 + 1, rtol=1e-6)


def test_gradients_given_by_hand_replace_the_derivative():
    @ops.custom_gradient
    def halved(x):
        return x**2, lambda upstream: upstream * 0.5

    assert float(jax.grad(halved)(3.0)) == 0.5


def test_sparsemax_is_the_projection_on_the_simplex():
    """Keras adds up sums of sums where several entries stay positive."""
    logits = np.array([[0.3, 0.25, 0.2, -1.0], [0.1, 0.0, 0.2, 0.15]], "float32")
    p = np.asarray(ops.sparsemax(logits))
    np.testing.assert_allclose(p.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(p[0], [0.38333, 0.33333, 0.28333, 0], atol=1e-5)
    np.testing.assert_allclose(ops.sparsemax(logits.T, axis=0), p.T, atol=1e-6)


def test_a_vector_of_zeros_has_a_finite_gradient_under_normalize():
    slope = jax.grad(lambda x: ops.normalize(x).sum())(jnp.zeros(3))
    assert np.isfinite(slope).all()


def test_a_beam_that_keeps_all_finds_the_most_probable_spellings():
    logits = 2 * np.random.default_rng(7).normal(size=(1, 5, 3))
    log_p = np.asarray(jax.nn.log_softmax(logits[0, :4]))
    spelled = {}
    for run in itertools.product(range(3), repeat=4):
        labels = tuple(label for label, _ in itertools.groupby(run) if label != 1)
        spelled.setdefault(labels, []).append(log_p[range(4), run].sum())
    totals = {labels: np.logaddexp.reduce(runs) for labels, runs in spelled.items()}
    best = sorted(totals, key=totals.get, reverse=True)[:6]
    found, scores = ops.ctc_decode(logits, [4], "beam_search", 40, 6, mask_index=1)
    assert [tuple(row[row >= 0].tolist()) for row in np.asarray(found[:, 0])] == best
    np.testing.assert_allclose(scores[0], [totals[labels] for labels in best], rtol=1e-5)


def test_poolings_have_gradients_in_compiled_code():
    for pool in (ops.max_pool, ops.average_pool):
        for padding in ("valid", "same"):
            slope = jax.grad(lambda x: ops.sum(ops.square(pool(x, 2, 2, padding))))  # noqa: B023
            np.testing.assert_allclose(jax.jit(slope)(IMG), slope(jnp.asarray(IMG)), rtol=1e-6)


def test_a_size_that_is_cast_still_makes_shapes():
    def doubled(x):
        return ops.tile(x, (ops.cast(ops.shape(x)[0], "int64"), 1)) * ops.ones((1,), "int64")

    assert jax.jit(doubled)(X).shape == (9, 4)
    assert isinstance(ops.cast(3, "float32"), jax.Array)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="strategy must be 'greedy' or 'beam_search'"):
        ops.ctc_decode(SEQ, [6, 4], strategy="best")
    with pytest.raises(ValueError, match=r"top_paths must be in \[1, 2\], got 3"):
        ops.ctc_decode(SEQ, [6, 4], strategy="beam_search", beam_width=2, top_paths=3)
    with pytest.raises(ValueError, match="padding must be"):
        ops.conv(IMG, K, padding="causal")
    with pytest.raises(ValueError, match="input channels"):
        ops.conv(IMG[..., :3], K)
    with pytest.raises(ValueError, match="at least as large as the kernel"):
        ops.conv(IMG[:, :2], K)
    with pytest.raises(ValueError, match="num_segments"):
        ops.segment_sum(X, [0, 0, 1])
    with pytest.raises(ValueError, match="positive definite"):
        ops.cholesky(-S)
    with pytest.raises(ValueError, match="same axes"):
        ops.rearrange(X, "a b -> a c")
    with pytest.raises(ValueError, match="output's shape"):
        ops.binary_crossentropy(X, X[:, :1])


def test_a_label_that_is_no_class_is_noticed():
    losses = ops.sparse_categorical_crossentropy([0, 7, -1], P)
    assert np.isnan(losses).tolist() == [False, True, True]


def test_a_slice_of_size_minus_one_takes_the_rest():
    start, size = (1, 2), (-1, 1)
    np.testing.assert_array_equal(ops.slice(X, start, size), keras.ops.slice(X, start, size))


def test_full_takes_a_list_to_broadcast():
    np.testing.assert_array_equal(ops.full((2, 3), [1, 2, 3]), np.full((2, 3), [1, 2, 3]))


def test_normalize_without_axis_divides_by_the_norm_of_all_entries():
    ours, theirs = (np.asarray(o.normalize(X, axis=None)) for o in (ops, keras.ops))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_linear_algebra_takes_batches():
    stack = np.stack([S, 2 * S, S + np.eye(3, dtype="float32")])
    for upper in (False, True):
        factor = ops.cholesky(stack, upper=upper)
        inverse = np.asarray(ops.cholesky_inverse(factor, upper=upper))
        np.testing.assert_allclose(inverse @ stack, np.tile(np.eye(3), (3, 1, 1)), atol=1e-3)
    two = np.stack([S, 2 * S])
    right = np.stack([M[0], M[1]])
    np.testing.assert_allclose(
        np.einsum("bij,bj->bi", two, ops.solve(two, right)), right, atol=1e-4
    )


def test_fewer_heads_of_keys_serve_groups_of_queries():
    query = _rng.normal(size=(2, 5, 6, 4)).astype("float32")
    key, value = _rng.normal(size=(2, 2, 7, 3, 4)).astype("float32")
    theirs = keras.ops.dot_product_attention(query, key, value)
    np.testing.assert_allclose(
        ops.dot_product_attention(query, key, value), theirs, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: ops.matrix_rank(V),
        lambda: ops.cholesky(X),
        lambda: ops.eigh(X),
        lambda: ops.cholesky_inverse(X),
        lambda: ops.view_as_complex(V[:3]),
        lambda: ops.stft(V, 2, -1, 4),
        lambda: ops.extract_sequences(V, 2, 0),
        lambda: ops.depth_to_space(IMG, 0),
        lambda: ops.histogram(V, range=(1.0, 0.0)),
        lambda: ops.dot_product_attention(SEQ[:, :, None], IMG[:, :2, :3], IMG[:, :2, :3]),
    ],
)
def test_shapes_and_sizes_without_a_meaning_are_refused(call):
    with pytest.raises(ValueError, match="must be"):
        call()
