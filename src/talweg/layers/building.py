"""Building: from the shapes that a layer is called with to its variables."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from talweg.core import errors, names
from talweg.layers.masks import Masked, call_parameters, is_arrays


class Built(Masked):
    """The part of `Layer` that is built: once, for the shapes of its first call."""

    build: Callable[..., None]
    _building: bool
    _path: str | None
    # The shapes that `build` was given, by its parameters; None before.
    _build_shapes: dict[str, Any] | None

    @property
    def _build_shape(self) -> Any:
        """The shape that the layer was built for; None where there are several, or none."""
        shapes = self._build_shapes or {}
        return next(iter(shapes.values())) if len(shapes) == 1 else None

    @_build_shape.setter
    def _build_shape(self, shape: Any) -> None:
        self._build_shapes = None if shape is None else {"input_shape": shape}

    def _maybe_build(self, args: Any, kwargs: Any) -> None:
        if self.built:
            return
        shapes = {
            name: jax.tree.map(shape_of, value)
            for name, value in _bind(type(self), self, args, kwargs).items()
            if is_arrays(value)
        }
        self._path = names.current_path(self.name)
        if not hasattr(type(self).build, "calls"):
            with jax.ensure_compile_time_eval():
                self.build(**_build_arguments(type(self), shapes))
        self.built = True

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shapes that `get_build_config` recorded."""
        if config and "input_shape" in config:
            self.build(as_shape(config["input_shape"]))
        elif config and "shapes_dict" in config:
            self.build(**{name: as_shape(shape) for name, shape in config["shapes_dict"].items()})

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that the layer was built for."""
        if not self._build_shapes:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": self._build_shape}
        return {"shapes_dict": dict(self._build_shapes)}


def by_calling(build: Callable[..., None]) -> Callable[..., None]:
    """Mark a `build` that calls the layer, which therefore is not built before it is called."""
    build.calls = True  # type: ignore[attr-defined]
    return build


def building(build: Callable[..., None]) -> Callable[..., None]:
    """`build` that names what it makes after the layer and marks the layer as built."""
    signature = inspect.signature(build)

    @functools.wraps(build)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        if self._building:  # a subclass calls super().build
            return build(self, *args, **kwargs)
        self._building = True
        try:
            with names.name_scope(self.name), jax.ensure_compile_time_eval():
                self._path = names.current_path("").rstrip("/")
                build(self, *args, **kwargs)
        finally:
            self._building = False
        self._build_shapes = dict(list(signature.bind(self, *args, **kwargs).arguments.items())[1:])
        self.built = True
        return None

    return wrapped


def _bind(cls: type, layer: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    known = {k: v for k, v in kwargs.items() if k in call_parameters(cls)}
    return dict(inspect.signature(layer.call).bind_partial(*args, **known).arguments)


def _build_arguments(cls: type, shapes: dict[str, Any]) -> dict[str, Any]:
    """Shapes for `build`: the first input's, or one for each argument `<name>_shape`."""
    parameters = dict(list(inspect.signature(cls.build).parameters.items())[1:])
    if len(parameters) < 2:
        first = next(iter(shapes.values()), None)
        return dict.fromkeys(parameters, first)
    by_name = {f"{name}_shape": shape for name, shape in shapes.items()}
    for name, parameter in parameters.items():
        if name not in by_name and parameter.default is parameter.empty:
            raise errors.invalid(
                f"{cls.__name__}.build", f"argument {name!r}",
                "named <argument of call>_shape", name,
                f"call() was given tensors for {', '.join(shapes) or 'no argument'}.",
            )  # fmt: skip
    return {name: by_name[name] for name in parameters if name in by_name}


def shape_of(value: Any) -> tuple[int | None, ...]:
    """The shape of an array or a symbolic tensor, as a tuple."""
    return tuple(value.shape)


def is_shape(value: Any) -> bool:
    """Whether `value` is one shape, and no structure of several."""
    return isinstance(value, (tuple, list)) and all(
        size is None or isinstance(size, (int, np.integer)) for size in value
    )


def as_shape(value: Any) -> Any:
    """Shapes as JSON gives them, lists, as tuples again; structures of them are kept."""
    if isinstance(value, dict):
        return {key: as_shape(item) for key, item in value.items()}
    if is_shape(value):
        return tuple(value)
    return [as_shape(item) for item in value]
