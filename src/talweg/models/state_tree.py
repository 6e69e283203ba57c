"""The state of a model as nested dicts, by the paths of its variables."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from talweg.core import errors
from talweg.core.variables import Variable
from talweg.layers import Layer

GROUPS = (
    "trainable_variables",
    "non_trainable_variables",
    "optimizer_variables",
    "metrics_variables",
)


class StateTree(Layer):
    """The part of `Model` that shows its variables as a tree and takes them back."""

    optimizer: Any

    def _groups(self) -> dict[str, Sequence[Variable]]:
        optimizer = [] if self.optimizer is None else self.optimizer.variables
        own = self.trainable_variables, self.non_trainable_variables
        return dict(zip(GROUPS, (*own, optimizer, self.metrics_variables), strict=True))

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """All variables, a dict for each part of a path.

        Args:
            value_format: "backend_tensor" for JAX arrays, "numpy_array".

        Raises:
            ValueError: two variables of one path; another format.
        """
        if value_format not in ("backend_tensor", "numpy_array"):
            known = ["backend_tensor", "numpy_array"]
            raise errors.unknown("value_format", value_format, known)
        arrays = value_format == "backend_tensor"
        tree: dict[str, Any] = {}
        for group, variables in self._groups().items():
            counts = Counter(variable.path for variable in variables)
            twice = next((path for path, count in counts.items() if count > 1), None)
            if twice is not None:
                raise errors.invalid(
                    "get_state_tree", f"the path {twice!r}", "that of one variable",
                    counts[twice], "Give the layers names of their own.",
                )  # fmt: skip
            tree[group] = nested = {}
            for variable in variables:
                *folders, name = variable.path.split("/")
                inner = nested
                for folder in folders:
                    inner = inner.setdefault(folder, {})
                inner[name] = variable.value if arrays else variable.numpy()
        return tree

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Take the values of variables from a tree; it may be a part of one.

        Raises:
            ValueError: a group, a path or a shape that the model does not have. Keras leaves
                out what it does not know without a word.
        """
        groups = self._groups()
        pairs: list[tuple[Variable, Any]] = []
        for group, nested in state_tree.items():
            if group not in groups:
                raise errors.unknown("group of variables", group, groups)
            by_path = {variable.path: variable for variable in groups[group]}
            for path, value in _flat(nested, ""):
                if path not in by_path:
                    raise errors.unknown(f"path in {group}", path, by_path)
                pairs.append((by_path[path], value))
        for variable, value in pairs:
            variable.assign(value)


def _flat(nested: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}/")
        else:
            yield f"{before}{key}", value
