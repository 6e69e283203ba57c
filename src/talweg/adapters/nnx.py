"""A module of Flax NNX."""

from collections.abc import Callable
from typing import Any

import jax

from talweg.adapters.base import Adapter, like
from talweg.core import errors


def nnx_module(module: Any, call: Callable[[Any, Any, bool], Any] | None = None) -> Adapter:
    """A Flax NNX module as a model of talweg.

    Its `nnx.Param`s are trained; all other variables (batch statistics, counts of random
    numbers) are state that a step updates. Training runs as after `module.train()`,
    evaluation and prediction as after `module.eval()`; the module's own mode stays what it is.

    Args:
        module: an `nnx.Module`.
        call: `(module, x, training) -> outputs`; `module(x)` by default.

    Raises:
        TypeError: no NNX module.

    Example:
        adapted = talweg.adapters.nnx_module(Net(nnx.Rngs(0)))
        adapted.compile("adam", "mse")
        adapted.fit(x, y)
        adapted.module(x)  # has the trained weights
    """
    return NNXAdapter(module, call)


class NNXAdapter(Adapter):
    """`nnx_module` makes it."""

    def __init__(self, module: Any, call: Callable[[Any, Any, bool], Any] | None):
        from flax import nnx

        if not isinstance(module, nnx.Module):
            raise errors.wrong_type("nnx_module", "module", "an nnx.Module", module)
        super().__init__()
        self.module = module
        self._call = call or (lambda module, x, training: module(x))
        params, fixed = nnx.state(module, nnx.Param, ...)
        self._trees = jax.tree.structure(params), jax.tree.structure(fixed)
        # Keys, for their types; the arrays of a module change.
        self._examples = jax.tree.leaves(fixed)
        self._graphs: dict[bool, Any] = {}
        for training in (False, True):
            copied = nnx.clone(module)
            copied.train() if training else copied.eval()
            self._graphs[training] = nnx.graphdef(copied)
        self.mirror(_with_paths(params), _with_paths(fixed))

    def read_arrays(self) -> tuple[list[Any], list[Any]]:
        from flax import nnx

        params, fixed = nnx.state(self.module, nnx.Param, ...)
        return jax.tree.leaves(params), jax.tree.leaves(fixed)

    def _states(self, params: list[Any], fixed: list[Any]) -> tuple[Any, Any]:
        typed = map(like, fixed, self._examples)
        return jax.tree.unflatten(self._trees[0], params), jax.tree.unflatten(self._trees[1], typed)

    def apply(
        self, params: list[Any], fixed: list[Any], x: Any, training: bool
    ) -> tuple[Any, list[Any], list[Any]]:
        from flax import nnx

        module = nnx.merge(self._graphs[training], *self._states(params, fixed))
        outputs = self._call(module, x, training)
        nnx.pop(module, nnx.Intermediate)
        new = nnx.state(module, nnx.Not(nnx.Param))
        if jax.tree.structure(new) != self._trees[1]:
            raise errors.invalid(
                type(self.module).__name__, "the state", "the same after each call",
                [path for path, _ in _with_paths(new)],
                "Make all variables when the module is made.",
            )  # fmt: skip
        return outputs, jax.tree.leaves(new), []

    def write_arrays(self, params: list[Any], fixed: list[Any]) -> None:
        from flax import nnx

        nnx.update(self.module, *self._states(params, fixed))


def _with_paths(state: Any) -> list[tuple[str, Any]]:
    """The leaves of an NNX state, named "layer/kernel"."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value"), leaf)
        for path, leaf in leaves
    ]
