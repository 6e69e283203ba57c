"""Ops in the graphs of functional models, as Keras records them.

Keras makes an operation of each use: `x * 2.0` is a `Multiply` of keras.src.ops.numpy with
a name. Here an op is a function; its tensors are the arguments of the node, what else it
was given is the config of the record.
"""

import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from talweg import ops
from talweg.core import errors
from talweg.core.names import to_snake_case
from talweg.ops.keras_tensor import Tensor, is_symbolic

_OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": operator.__add__, "Subtract": operator.__sub__, "Multiply": operator.__mul__,
    "TrueDivide": operator.__truediv__, "FloorDivide": operator.__floordiv__,
    "Mod": operator.__mod__, "Power": operator.__pow__, "Matmul": operator.__matmul__,
    "NotEqual": operator.__ne__, "Less": operator.__lt__, "LessEqual": operator.__le__,
    "Greater": operator.__gt__, "GreaterEqual": operator.__ge__, "Negative": operator.__neg__,
    "Absolute": operator.__abs__, "GetItem": operator.getitem,
}  # fmt: skip
# What a symbolic tensor computes for &, |, ^ and ~.
_OF_TRUTHS = {
    jnp.logical_and: "LogicalAnd", jnp.logical_or: "LogicalOr", jnp.logical_xor: "LogicalXor",
    jnp.logical_not: "LogicalNot",
}  # fmt: skip
_NAMES = {function: name for name, function in _OPERATORS.items()} | _OF_TRUTHS
# Where Keras keeps the operations that are not among those of NumPy.
_MODULES = {
    "nn": "relu relu6 sigmoid sparse_sigmoid softplus softsign soft_shrink sparse_plus silu "
    "squareplus log_sigmoid leaky_relu hard_sigmoid hard_silu elu selu gelu celu glu tanh_shrink "
    "hard_tanh hard_shrink threshold softmax log_softmax sparsemax max_pool average_pool conv "
    "depthwise_conv separable_conv conv_transpose one_hot binary_crossentropy "
    "categorical_crossentropy sparse_categorical_crossentropy multi_hot moments "
    "ctc_loss ctc_decode normalize psnr dot_product_attention "
    "adaptive_average_pool adaptive_max_pool polar fold unfold space_to_depth depth_to_space",
    "math": "segment_sum segment_max segment_min segment_prod view_as_complex view_as_real "
    "cdist erfc top_k in_top_k logsumexp extract_sequences fft fft2 ifft2 "
    "rfft irfft stft istft rsqrt erf erfinv logdet",
    "core": "cast scatter scatter_update slice slice_update while_loop stop_gradient cond "
    "fori_loop unstack map scan associative_scan switch saturate_cast "
    "convert_to_tensor vectorized_map",
    "linalg": "cholesky cholesky_inverse det eig eigh inv lu_factor norm qr solve "
    "solve_triangular svd lstsq jvp matrix_rank pinv",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def find(module: Any, class_name: Any) -> Callable[..., Any] | None:
    """The op that a record of Keras's names; None where it names none."""
    parts = str(module).split(".")
    if parts[:3] != ["keras", "src", "ops"] and parts[:2] != ["keras", "ops"]:
        return None
    if class_name in _OPERATORS:
        return _OPERATORS[class_name]
    key = str(class_name).replace("_", "").lower()
    names = {name.replace("_", "").lower(): name for name in ops.__all__}
    found = getattr(ops, names[key]) if key in names else None
    return found if hasattr(found, "__wrapped__") else None


def base_name(function: Callable[..., Any]) -> str:
    """What its uses are called, numbers left out."""
    return to_snake_case(_NAMES[function]) if function in _NAMES else function.__name__


def kind(function: Callable[..., Any]) -> str:
    """The class of operations that Keras has for it: `Multiply`, `LeakyRelu`."""
    own = getattr(function, "__name__", "Op")
    return _NAMES.get(function) or "".join(part[:1].upper() + part[1:] for part in own.split("_"))


def record(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], name: str) -> Any:
    """The record of one use, without its node, and the arguments that are its node's.

    Raises:
        ValueError: a function that is no op of talweg's: it has no name in a file.
    """
    if function in _NAMES:
        module, class_name = "numpy", _NAMES[function]
        tensors, config = list(args), dict(kwargs)
    else:
        own = getattr(function, "__name__", str(function))
        if getattr(ops, own, None) is not function:
            raise errors.invalid(
                "Model.get_config", f"the function {own}", "an op of talweg.ops", function,
                "Use it inside a layer of your own.",
            )  # fmt: skip
        module = _MODULE_OF.get(own, "numpy")
        class_name = kind(function)
        tensors, config = _split(function, args, kwargs)
    return {
        "module": f"keras.src.ops.{module}",
        "class_name": class_name,
        "config": {**config, "name": name},
        "registered_name": class_name,
    }, tensors


def _split(function: Any, args: Any, kwargs: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """The tensors among an op's arguments, and all others by name."""
    bound = inspect.signature(function.__wrapped__).bind(*args, **kwargs)
    parameters = inspect.signature(function.__wrapped__).parameters
    tensors: list[Any] = []
    config: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        parameter = parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            tensors.extend(value)
        elif parameter.annotation is Tensor or not tensors or is_symbolic(value):
            tensors.append(value)
        else:
            config[name] = value
    return tensors, config
