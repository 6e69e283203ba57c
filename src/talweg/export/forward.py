"""Forward: a model in inference mode as a pure function of its inputs, all of which have names."""

import contextlib
import copy
from collections.abc import Callable, Generator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from talweg.core import dtypes, errors
from talweg.core.compilation import for_any_platform
from talweg.core.variables import lend
from talweg.export import signature
from talweg.export.signature import Entry
from talweg.layers.context import call_context
from talweg.layers.masks import call_parameters
from talweg.models import Model


class Forward:
    """What a model computes in inference mode, with its weights as constants.

    Args:
        model: a model that knows its inputs, or whose inputs `input_signature` tells.
        input_signature: shapes and types of the inputs, as `Model.export` takes them.

    Attributes:
        inputs: the arrays that it takes, flat.

    Raises:
        TypeError: a part of the signature has no shape or type; an input is of strings.
        ValueError: nobody told what the inputs look like.
    """

    def __init__(self, model: Any, input_signature: Any = None):
        if not isinstance(model, Model):
            raise errors.wrong_type("export", "model", "a talweg model", model)
        self.model = model
        self.inputs, self._structure = signature.read(model, input_signature)
        if not all(layer.built for layer in model._flatten_layers()):
            with call_context(False):
                model(*self.arguments(signature.symbols(self.inputs)), **self._inference())
        self._variables = model.variables

    def agreeing(self) -> "Forward":
        """The same, where sizes that are open on the same axis of all inputs are one size."""
        other = copy.copy(self)
        other.inputs = signature.agreeing(self.inputs)
        return other

    def arguments(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments of a call, from arrays in the order of `inputs`."""
        return jax.tree.unflatten(self._structure, arrays)

    def __call__(self, *arguments: Any) -> Any:
        """The outputs. Pure, so that it can be traced.

        Raises:
            ValueError: the call changes a variable: nothing in a file remembers it.
        """
        before = [variable.value for variable in self._variables]
        with for_any_platform(), lend(self._variables, before) as loan, call_context(False):
            outputs = self.model(*arguments, **self._inference())
            after = loan.values(self._variables)
        for variable, old, new in zip(self._variables, before, after, strict=True):
            if new is not old:
                raise ValueError(
                    f"export: model {self.model.name!r} changes {variable.path!r} when it is "
                    "called for inference, and a file holds no state: each call would begin "
                    "anew. Use a layer without it (stateful=False, no random numbers at "
                    "inference), or make the state an input and an output of the model."
                )
        return jax.tree.map(jnp.asarray, outputs)

    def _inference(self) -> dict[str, bool]:
        return {"training": False} if "training" in call_parameters(type(self.model)) else {}

    @contextlib.contextmanager
    def in_type_of_weights(self) -> Generator[None]:
        """Until the block ends, layers of mixed precision compute in the type of their weights."""
        mixed = [
            (layer, layer.dtype_policy)
            for layer in self.model._flatten_layers()
            if layer.compute_dtype != layer.variable_dtype
        ]
        for layer, policy in mixed:
            layer.dtype_policy = policy.variable_dtype
        try:
            yield
        finally:
            for layer, policy in mixed:
                layer.dtype_policy = policy

    def output_names(self, outputs: Any) -> list[str]:
        """A name for each output: the keys of dicts, else the layers that the model names.

        Args:
            outputs: anything in their structure.
        """
        paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(outputs)[0]]
        names = list(getattr(self.model, "output_names", []))
        if not names and getattr(self.model, "_stack", None):
            names = [self.model.layers[-1].name]
        if len(names) != len(paths):
            names = [signature.numbered("output", i, len(paths)) for i in range(len(paths))]
        names = [signature.keys(path) or name for path, name in zip(paths, names, strict=True)]
        return signature.unique(names, taken=[entry.name for entry in self.inputs])

    def sample(self, size_of: Callable[[str], int], integers: int = 2) -> list[np.ndarray]:
        """Arrays that the model could be given.

        Args:
            size_of: the size for the name of an open one.
            integers: how many different ones are drawn, from 0 on.
        """
        random = np.random.default_rng(0)

        def drawn(entry: Entry) -> np.ndarray:
            shape = [size if isinstance(size, int) else size_of(size) for size in entry.shape]
            if dtypes.is_float(entry.dtype):
                values = random.normal(size=shape)
            else:
                values = random.integers(0, integers, size=shape)
            return np.asarray(values).astype(jnp.dtype(entry.dtype))

        return [drawn(entry) for entry in self.inputs]
