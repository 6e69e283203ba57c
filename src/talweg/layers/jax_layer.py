"""JaxLayer, FlaxLayer: functions and modules of other JAX libraries as layers."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import dtypes, errors
from talweg.core.random import SeedGenerator, draw_seed
from talweg.core.serialization import deserialize_keras_object, serialize_keras_object
from talweg.core.variables import Variable
from talweg.layers.base import Layer
from talweg.layers.building import is_shape

_ALLOWED = {
    "call_fn": ("params", "state", "rng", "inputs", "training"),
    "init_fn": ("rng", "inputs", "training"),
}


class JaxLayer(Layer):
    """`call_fn(params, state, rng, inputs, training)` as a layer.

    The functions take, by these names and in any order, what they need:

    - `call_fn`: `inputs`, and `params`, `state`, `rng` (a key during training, else None) and
      `training`. It returns the outputs, or with `state` the outputs and the new state.
    - `init_fn`: `inputs` (ones), and `rng` and `training` (True). It returns the parameters,
      or with `state` the parameters and the state.

    Args:
        call_fn: the computation.
        init_fn: makes the parameters at the first call; may be None where they are given.
        params: a tree of arrays that training moves.
        state: a tree of arrays that it does not move.
        seed: an integer for keys that repeat.
        native_serialization_platforms: Keras's, for TensorFlow; has no effect.

    Raises:
        ValueError: a function takes other arguments; nothing says what the parameters are.

    To be written to a file, the functions must be registered by
    `@register_keras_serializable()`.

    >>> import numpy as np
    >>> def affine(params, inputs):
    ...     return inputs * params["scale"] + params["shift"]
    >>> layer = JaxLayer(affine, params={"scale": np.float32(2.0), "shift": np.float32(1.0)})
    >>> layer(np.array([3.0])).tolist(), len(layer.trainable_weights)
    ([7.0], 2)
    """

    def __init__(
        self,
        call_fn: Callable[..., Any],
        init_fn: Callable[..., Any] | None = None,
        params: Any = None,
        state: Any = None,
        seed: int | None = None,
        native_serialization_platforms: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.call_fn, self.init_fn = call_fn, init_fn
        self.call_fn_arguments = _arguments_of(owner, "call_fn", call_fn)
        self.init_fn_arguments = [] if init_fn is None else _arguments_of(owner, "init_fn", init_fn)
        self.native_serialization_platforms = native_serialization_platforms
        has_weights = {"params", "state"} & set(self.call_fn_arguments)
        if has_weights and init_fn is params is state is None:
            raise errors.invalid(
                owner, "init_fn, params or state", "given", None,
                f"call_fn takes {' and '.join(sorted(has_weights))}.",
            )  # fmt: skip
        self.seed_generator = SeedGenerator(seed) if "rng" in self.call_fn_arguments else None
        self.params = self._variables_of(params, trainable=True)
        self.state = self._variables_of(state, trainable=False)
        self.built = params is not None or state is not None or not has_weights

    def _variables_of(self, values: Any, trainable: bool) -> Any:
        """The tree with a variable of the layer in the place of each number and array."""

        def variable(value: Any) -> Any:
            if not isinstance(value, (bool, int, float, np.ndarray, np.generic, jax.Array)):
                return value
            with jax.ensure_compile_time_eval():
                array = jnp.asarray(value)
            own = None if dtypes.is_float(array.dtype) else array.dtype
            return self.add_weight(
                shape=array.shape,
                initializer=lambda shape, dtype=None: array,
                dtype=own,
                trainable=trainable,
            )

        return jax.tree.map(variable, values)

    def _get_init_rng(self) -> Any:
        """The key, or a tree of keys, that `init_fn` gets; a subclass may define its own."""
        return _new_key()

    def _get_call_rng(self, training: bool) -> Any:
        """The key that `call_fn` gets; a subclass may define its own."""
        assert self.seed_generator is not None
        return self.seed_generator.next() if training else None

    def build(self, input_shape: Any) -> None:
        if self.init_fn is None:
            return
        given = {
            "rng": self._get_init_rng,
            "inputs": lambda: jax.tree.map(_ones, input_shape, is_leaf=is_shape),
            "training": lambda: True,
        }
        made = self.init_fn(*(given[name]() for name in self.init_fn_arguments))
        params, state = made if "state" in self.call_fn_arguments else (made, None)
        self.params = self._variables_of(params, trainable=True)
        self.state = self._variables_of(state, trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        given = {
            "params": lambda: _values(self.params),
            "state": lambda: _values(self.state),
            "rng": lambda: self._get_call_rng(training),
            "inputs": lambda: inputs,
            "training": lambda: training,
        }
        outputs = self.call_fn(*(given[name]() for name in self.call_fn_arguments))
        if "state" not in self.call_fn_arguments:
            return outputs
        outputs, state = outputs
        if jax.tree.structure(state) != jax.tree.structure(self.state):
            raise errors.invalid(
                f"Layer {self.name!r}", "the state that call_fn returns",
                f"of the structure {jax.tree.structure(self.state)}", jax.tree.structure(state),
            )  # fmt: skip
        for variable, value in zip(
            jax.tree.leaves(self.state), jax.tree.leaves(state), strict=True
        ):
            if isinstance(variable, Variable):
                variable.assign(value)
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "call_fn": serialize_keras_object(self.call_fn),
            "init_fn": serialize_keras_object(self.init_fn),
            "native_serialization_platforms": self.native_serialization_platforms,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        functions = {
            name: deserialize_keras_object(config[name], custom_objects)
            for name in ("call_fn", "init_fn")
        }
        return cls(**{**config, **functions})


class FlaxLayer(JaxLayer):
    """A `flax.linen.Module` as a layer.

    Its "params" are trained, its other collections are state, and dropout gets its keys. The
    method takes `inputs` and, where it behaves differently in training, `training`.

    Args:
        module: the module.
        method: what to call in it, where not `__call__`: a method of it, or a function of the
            module and the same arguments.
        variables: the collections to begin with; the module's `init` makes them by default.

    Raises:
        ImportError: Flax is not installed; the message says how to install it.

    >>> import flax.linen, numpy as np
    >>> layer = FlaxLayer(flax.linen.Dense(4))
    >>> layer(np.ones((2, 3))).shape, [v.shape for v in layer.weights]
    ((2, 4), [(4,), (3, 4)])
    """

    def __init__(
        self, module: Any, method: Any = None, variables: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        state_only = _linen().DenyList(["params"])
        self.module, self.method = module, method
        if isinstance(method, str):
            method = getattr(module, method)
            self.method = method

        def apply(params: Any, state: Any, rng: Any, inputs: Any, **flags: Any) -> Any:
            collections = {**(params or {}), **(state or {})}
            return module.apply(
                collections, inputs, rngs=rng, method=method, mutable=state_only, **flags
            )

        def init(rng: Any, inputs: Any, **flags: Any) -> Any:
            return _split(module.init(rng, inputs, method=method, **flags))

        def apply_training(params: Any, state: Any, rng: Any, inputs: Any, training: Any) -> Any:
            return apply(params, state, rng, inputs, training=training)

        def apply_plain(params: Any, state: Any, rng: Any, inputs: Any) -> Any:
            return apply(params, state, rng, inputs)

        def init_training(rng: Any, inputs: Any, training: Any) -> Any:
            return init(rng, inputs, training=training)

        def init_plain(rng: Any, inputs: Any) -> Any:
            return init(rng, inputs)

        differs = "training" in inspect.signature(method or module.__call__).parameters
        params, state = _split(variables)
        super().__init__(
            call_fn=apply_training if differs else apply_plain,
            init_fn=init_training if differs else init_plain,
            params=params,
            state=state,
            **kwargs,
        )

    def _get_init_rng(self) -> Any:
        return {"params": _new_key(), "dropout": _new_key()}

    def _get_call_rng(self, training: bool) -> Any:
        return {"dropout": super()._get_call_rng(training)} if training else {}

    def get_config(self) -> dict[str, Any]:
        if not hasattr(self.module, "get_config"):
            raise errors.invalid(
                "FlaxLayer", "module", "of a registered class with get_config() and from_config()",
                self.module, "Flax's own modules have no config that could be written.",
            )  # fmt: skip
        config = super().get_config()
        del config["call_fn"], config["init_fn"]
        bound = getattr(self.method, "__self__", None) is self.module
        method = self.method.__name__ if self.method is not None and bound else self.method
        return {
            **config,
            "module": serialize_keras_object(self.module),
            "method": serialize_keras_object(method),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        module = deserialize_keras_object(config["module"], custom_objects)
        method = config["method"]
        if isinstance(method, Mapping):
            method = deserialize_keras_object(method, custom_objects)
        return cls(**{**config, "module": module, "method": method})


def _linen() -> Any:
    try:
        return importlib.import_module("flax.linen")
    except ImportError as error:
        raise errors.MissingExtraError(
            "FlaxLayer needs flax, which is not installed. Install it with: pip install flax"
        ) from error


def _arguments_of(owner: str, name: str, function: Callable[..., Any]) -> list[str]:
    names = list(inspect.signature(function).parameters)
    allowed = _ALLOWED[name]
    for unknown in set(names) - set(allowed):
        raise errors.unknown(f"argument of {name} of {owner}", unknown, allowed)
    if "inputs" not in names:
        raise errors.invalid(owner, name, "a function that takes 'inputs'", names)
    return names


def _split(variables: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """The collection "params" and all others of a Flax module."""
    if variables is None:
        return None, None
    params = {name: tree for name, tree in variables.items() if name == "params"}
    return params, {name: tree for name, tree in variables.items() if name != "params"}


def _values(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.value if isinstance(leaf, Variable) else leaf, tree)


def _new_key() -> Any:
    return jnp.array([draw_seed(), 0], jnp.uint32)


def _ones(shape: Any) -> Any:
    return jnp.ones([1 if size is None else size for size in shape])
