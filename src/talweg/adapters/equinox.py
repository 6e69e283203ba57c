"""An Equinox module."""

import inspect
from collections.abc import Callable
from typing import Any

import jax

from talweg.adapters.base import Adapter, like
from talweg.core import errors
from talweg.core.random import draw_seed


def equinox_module(
    module: Any, state: Any = None, call: Callable[..., tuple[Any, Any]] | None = None
) -> Adapter:
    """An Equinox module as a model of talweg.

    Its inexact arrays are trained. The module is called row by row, by `jax.vmap` with the
    axis named "batch", with a key of its own for each row where it takes one; evaluation and
    prediction run in inference mode. Modules do not change in place: the trained one is
    `adapter.module`, the new state `adapter.state`.

    Args:
        module: an `equinox.Module`.
        state: the `equinox.nn.State` of a module that was made by `make_with_state`.
        call: `(module, state, x, key) -> (outputs, state)` for a batch, where rows are not
            to be taken one by one.

    Raises:
        TypeError: no Equinox module.

    Example:
        adapted = talweg.adapters.equinox_module(eqx.nn.MLP(4, 1, 32, 2, key=key))
        adapted.compile("adam", "mse")
        adapted.fit(x, y)
        trained = adapted.module
    """
    return EquinoxAdapter(module, state, call)


class EquinoxAdapter(Adapter):
    """`equinox_module` makes it."""

    def __init__(self, module: Any, state: Any, call: Callable[..., tuple[Any, Any]] | None):
        import equinox

        if not isinstance(module, equinox.Module):
            raise errors.wrong_type("equinox_module", "module", "an equinox.Module", module)
        super().__init__()
        self.module, self.state = module, state
        self._call = call or _by_row
        self._key = jax.random.key(draw_seed())
        params, fixed = self._parts()
        self._trees = jax.tree.structure(params), jax.tree.structure(fixed)
        self._examples = jax.tree.leaves(fixed)
        self.mirror(_with_paths(params), _with_paths(fixed))

    def _parts(self) -> tuple[Any, Any]:
        """The parameters; all other arrays, the module's state, and the key."""
        import equinox

        params, rest = equinox.partition(self.module, equinox.is_inexact_array)
        self._static = equinox.filter((rest, self.state), equinox.is_array, inverse=True)
        arrays = equinox.filter((rest, self.state), equinox.is_array)
        return params, (arrays, self._key)

    def read_arrays(self) -> tuple[list[Any], list[Any]]:
        params, fixed = self._parts()
        return jax.tree.leaves(params), jax.tree.leaves(fixed)

    def _joined(self, params: list[Any], fixed: list[Any]) -> tuple[Any, Any, Any]:
        """Module, state and key."""
        import equinox

        typed = list(map(like, fixed, self._examples))
        arrays, key = jax.tree.unflatten(self._trees[1], typed)
        rest, state = equinox.combine(arrays, self._static)
        return equinox.combine(jax.tree.unflatten(self._trees[0], params), rest), state, key

    def apply(
        self, params: list[Any], fixed: list[Any], x: Any, training: bool
    ) -> tuple[Any, list[Any], list[Any]]:
        import equinox

        module, state, key = self._joined(params, fixed)
        key, drawn = jax.random.split(key)
        module = equinox.nn.inference_mode(module, value=not training)
        outputs, state = self._call(module, state, x, drawn)
        # What is no parameter and no state stands still.
        arrays = jax.tree.unflatten(self._trees[1], list(map(like, fixed, self._examples)))[0]
        kept = (arrays[0], equinox.filter(state, equinox.is_array))
        return outputs, jax.tree.leaves((kept, key)), []

    def write_arrays(self, params: list[Any], fixed: list[Any]) -> None:
        self.module, self.state, self._key = self._joined(params, fixed)


def _by_row(module: Any, state: Any, x: Any, key: Any) -> tuple[Any, Any]:
    """A batch, row by row."""
    keyed = "key" in inspect.signature(type(module).__call__).parameters
    rows = jax.tree.leaves(x)[0].shape[0]
    keys = jax.random.split(key, rows) if keyed else None
    options = (lambda key: {"key": key}) if keyed else (lambda key: {})
    if state is None:
        outputs = jax.vmap(lambda x, key: module(x, **options(key)), axis_name="batch")(x, keys)
        return outputs, None

    def row(x: Any, state: Any, key: Any) -> Any:
        return module(x, state, **options(key))

    return jax.vmap(row, axis_name="batch", in_axes=(0, None, 0), out_axes=(0, None))(
        x, state, keys
    )


def _with_paths(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]
