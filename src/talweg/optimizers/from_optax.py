"""An optax transformation as an optimizer of talweg.

The transformation sees the parameters as a dict from path ("dense/kernel") to array, so
that masks and labels can go by path:

    labels = lambda params: {path: "head" if "head" in path else "body" for path in params}
    from_optax(optax.multi_transform({"head": optax.adam(1e-2), "body": optax.sgd(1e-3)}, labels))

optax itself is not imported here: anything with `init` and `update` will do.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from talweg.core import errors, names
from talweg.core.hyperparameters import hyper, static
from talweg.optimizers.base import Optimizer
from talweg.optimizers.hyperparameters import RATE
from talweg.optimizers.state import Objective, OptimizerState, Tensor, wide


def from_optax(transformation: Any, learning_rate: Any = None, **options: Any) -> Optimizer:
    """An optax transformation as an optimizer.

    What `learning_rate` means depends on what is given:

    - a factory (`optax.adamw`, or what `optax.inject_hyperparams` returns): it is called with
      `learning_rate=` the live rate, so that callbacks and schedules change it as ever;
    - a transformation with an injected rate (`optax.inject_hyperparams(optax.adam)(1e-3)`):
      the live rate takes the place of the injected one, wherever in a chain that is;
    - any other transformation has a rate, or several, or a schedule of its own, and
      `learning_rate` multiplies its updates.

    A tensor without a gradient stays where it is; the transformation sees a gradient of zeros.

    Args:
        transformation: has `init(params)` and `update(grads, state, params)`, or is called
            with `learning_rate=` to make one.
        learning_rate: a number, a schedule, a `Variable`, a callable. By default the one that
            is injected, or the factory's own default; 1.0 where it multiplies.
        options: `name` and the other arguments that every optimizer has. They act before
            (clipping, `weight_decay`) or after (`use_ema`) the transformation.

    Raises:
        TypeError: neither a transformation nor a factory; the optimizer is to be written to a
            file, which cannot be done with functions.
            In the first step: a transformation that wants more than gradients, state and params.
        ValueError: a factory without a default rate, and no `learning_rate`.

    >>> class Descent:
    ...     init = staticmethod(lambda params: ())
    ...     update = staticmethod(lambda g, s, p: (jax.tree.map(jnp.negative, g), s))
    >>> optimizer = from_optax(Descent(), learning_rate=0.5)
    >>> params, _ = optimizer.update([2.0], optimizer.init([3.0]), [3.0])
    >>> float(params[0])
    2.0
    """
    transforms = hasattr(transformation, "init") and hasattr(transformation, "update")
    if not transforms and not callable(transformation):
        raise errors.wrong_type(
            "from_optax", "transformation", "an optax transformation or a function that makes one",
            transformation,
        )  # fmt: skip
    if transforms:
        injected = _injected_rate(transformation)
        owner = _MultipliedFromOptax if injected is None else _FromOptax
        default = 1.0 if injected is None else injected
    else:
        owner, default = _FromOptax, _default_rate(transformation)
    if learning_rate is None:
        learning_rate = default
    if learning_rate is None:
        raise errors.invalid(
            "from_optax", "learning_rate", f"given, as {_name_of(transformation)} has no default",
            learning_rate,
        )  # fmt: skip
    options.setdefault("name", names.auto_name("from_optax"))
    return owner(transformation=transformation, learning_rate=learning_rate, **options)


class OptaxState:
    """The leaves of a state, in the shape in which optimizers keep cells; a pytree."""

    def __init__(self, *leaves: Any):
        self.leaves = leaves

    def _asdict(self) -> dict[str, Any]:
        return {f"state_{i}": leaf for i, leaf in enumerate(self.leaves)}


jax.tree_util.register_pytree_node(
    OptaxState, lambda state: (state.leaves, None), lambda _, leaves: OptaxState(*leaves)
)


class _Structure(NamedTuple):
    """What a transformation's state looks like.

    Attributes:
        tree: its structure.
        keys: for each leaf that is a random key its implementation, else None.
        rates: the positions of the injected rates among the leaves.
    """

    tree: Any
    keys: list[Any]
    rates: list[int]


class _FromOptax(Optimizer):
    """A transformation that takes the live rate; `from_optax` makes it.

    Args:
        transformation: the transformation, or a factory of it.
        learning_rate: the live rate.
    """

    learning_rate: Any = hyper(default=0.001, interval=RATE, search=(1e-5, 1e-1))
    transformation: Any = static(default=None)

    def transformation_at(self, rate: Any) -> Any:
        """The transformation, made anew where it is a factory: the rate is data."""
        given = self.transformation
        return given if hasattr(given, "update") else given(learning_rate=rate)

    def init_shared(self, params: Sequence[Any], h: Any) -> Any:
        state = self.transformation_at(h.learning_rate).init(_by_name(h.names, params))
        return OptaxState(*map(_stored, jax.tree.leaves(state)))

    def apply_rule(
        self, grads: Sequence[Any], params: Sequence[Any], slots: Sequence[Any],
        shared: Any, h: Any, t: Any,
    ) -> tuple[list[Any], list[Any], Any]:  # fmt: skip
        transformation = self.transformation_at(h.learning_rate)
        tree = _by_name(h.names, params)
        structure = _structure_of(transformation, tree)
        pairs = zip(shared.leaves, structure.keys, strict=True)
        state = [
            leaf if impl is None else jax.random.wrap_key_data(leaf, impl=impl)
            for leaf, impl in pairs
        ]
        self.inject(state, structure.rates, h.learning_rate)
        try:
            updates, new = transformation.update(
                _by_name(h.names, grads), jax.tree.unflatten(structure.tree, state), tree
            )
        except TypeError as error:
            if "required keyword-only argument" not in str(error):
                raise
            raise TypeError(
                f"{self!r}: an update is given gradients, state and params only, and this "
                f"transformation wants more. Of those that search along a line, "
                f"optimizers.LBFGS() is one that fit() can train with. optax says: {error}"
            ) from error
        if jax.tree.structure(new) != structure.tree:
            raise errors.invalid(
                str(self.name), "the state", "of the same structure after each update",
                jax.tree.structure(new),
            )  # fmt: skip
        kept = [
            _stored(leaf).astype(old.dtype)
            for leaf, old in zip(jax.tree.leaves(new), shared.leaves, strict=True)
        ]
        moved = [
            p + (updates[name] * self.factor(rate, h.learning_rate)).astype(p.dtype)
            for p, name, rate in zip(params, tree, h.rates, strict=True)
        ]
        return moved, list(slots), OptaxState(*kept)

    def inject(self, state: list[Any], positions: Sequence[int], rate: Any) -> None:
        """Put the live rate into the leaves of a state, in place."""
        for i in positions:
            state[i] = rate.astype(state[i].dtype)

    def factor(self, rate: Any, common: Any) -> Any:
        """What a tensor's update is multiplied by, for its own rate and the common one."""
        if rate is common:
            return 1.0
        return jnp.where(common == 0, 0.0, rate / jnp.where(common == 0, 1.0, common))

    def _step(
        self, present: Sequence[int], gradients: Sequence[Any], state: OptimizerState,
        params: Sequence[Any], tensors: Sequence[Tensor], objective: Objective | None,
    ) -> tuple[list[Any], OptimizerState]:  # fmt: skip
        """A step over all tensors: the transformation's state belongs to all of them."""
        given = dict(zip(present, gradients, strict=True))
        full = [given[i] if i in given else jnp.zeros_like(wide(p)) for i, p in enumerate(params)]
        new, state = super()._step(range(len(params)), full, state, params, tensors, objective)
        return [new[i] if i in given else p for i, p in enumerate(params)], state

    @property
    def unwritable(self) -> str:
        """Why there is no record of it."""
        return (
            f"{self!r} cannot be written: optax's transformations are functions. Save the weights "
            "and the optimizer's state, and call from_optax() again to make the optimizer."
        )

    def __repr__(self) -> str:
        return f"from_optax({_name_of(self.transformation)})"


class _MultipliedFromOptax(_FromOptax):
    """A transformation with a rate of its own: the live rate multiplies its updates.

    Args:
        transformation: the transformation.
        learning_rate: the factor of its updates.
    """

    learning_rate: Any = hyper(default=1.0, interval=RATE, search=(1e-2, 1e2))

    def inject(self, state: list[Any], positions: Sequence[int], rate: Any) -> None:
        """Its rates are its own."""

    def factor(self, rate: Any, common: Any) -> Any:
        return rate


def _by_name(names: Sequence[str], arrays: Sequence[Any]) -> dict[str, Any]:
    """A dict in the order of `arrays`; a name that is taken is numbered."""
    result: dict[str, Any] = {}
    for name, array in zip(names, arrays, strict=True):
        free, count = name, 1
        while free in result:
            free, count = f"{name}_{count}", count + 1
        result[free] = array
    return result


def _structure_of(transformation: Any, params: Any) -> _Structure:
    """The structure of a state, traced from `init`; nothing is computed."""
    keys: list[Any] = []

    def start(params: Any) -> Any:
        state = jax.tree.map(jnp.asarray, transformation.init(params))
        leaves = jax.tree.leaves(state)
        keys.extend(jax.random.key_impl(leaf) if _is_key(leaf) else None for leaf in leaves)
        return state

    paths, tree = jax.tree_util.tree_flatten_with_path(jax.eval_shape(start, params))
    known = [jax.tree_util.keystr(path) for path, _ in paths]
    rates = [
        i
        for i, name in enumerate(known)
        if name.endswith(".hyperparams['learning_rate']")
        and not any(_scheduled(name) in other for other in known)
    ]
    return _Structure(tree, keys, rates)


def _scheduled(name: str) -> str:
    """Where optax keeps the schedule of an injected rate: it then sets the rate itself."""
    return name.replace(".hyperparams['learning_rate']", ".hyperparams_states['learning_rate']")


def _injected_rate(transformation: Any) -> float | None:
    """The rate that a transformation holds as a hyperparameter; None where there is none."""
    example = {"example": jnp.zeros((2, 2), jnp.float32)}
    try:
        structure = _structure_of(transformation, example)
    except Exception:  # the functions of a user who knows the paths of the model
        return None
    if len(structure.rates) != 1:
        return None
    return float(jax.tree.leaves(transformation.init(example))[structure.rates[0]])


def _default_rate(factory: Callable[..., Any]) -> float | None:
    parameter = inspect.signature(factory).parameters.get("learning_rate")
    default = None if parameter is None else parameter.default
    return float(default) if isinstance(default, (int, float)) else None


def _stored(leaf: Any) -> jax.Array:
    """A leaf as an array that a cell can hold: keys as their bits."""
    leaf = jnp.asarray(leaf)
    return jax.random.key_data(leaf) if _is_key(leaf) else jnp.asarray(leaf, leaf.dtype)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _name_of(transformation: Any) -> str:
    """The name of a factory, or of what made a transformation: "adamw", "chain"."""
    function = getattr(transformation, "init", transformation)
    return str(getattr(function, "__qualname__", type(function).__name__)).partition(".")[0]
