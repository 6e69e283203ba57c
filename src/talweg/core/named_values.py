"""Values by name, as attributes and as entries."""

import json
from typing import Any


class Config(dict[str, Any]):
    """A dict whose entries are attributes, too, and that can be frozen.

    Args:
        kwargs: the entries.

    Raises:
        AttributeError: there is no entry of that name.
        ValueError: it is frozen and would be changed.

    >>> config = Config(rate=0.1)
    >>> config.seed = 3
    >>> config["seed"], config.rate, config.to_json()
    (3, 0.1, '{"rate": 0.1, "seed": 3}')
    """

    __slots__ = ("_frozen",)

    def __init__(self, **kwargs: Any):
        super().__init__(kwargs)
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse changes from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allow changes again."""
        object.__setattr__(self, "_frozen", False)

    def as_dict(self) -> dict[str, Any]:
        """A plain copy."""
        return dict(self)

    def to_json(self) -> str:
        """The entries as JSON."""
        return json.dumps(self)

    def _check(self) -> None:
        if self._frozen:
            raise ValueError("Config: it is frozen. Call unfreeze() to change it.")

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"Config has no entry {name!r}. It has: {', '.join(self) or 'none'}."
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._check()
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        self._check()
        super().__delitem__(name)

    def pop(self, *args: Any) -> Any:
        """Take an entry out."""
        self._check()
        return super().pop(*args)

    def popitem(self) -> tuple[str, Any]:
        """Take the last entry out."""
        self._check()
        return super().popitem()

    def clear(self) -> None:
        """Take all entries out."""
        self._check()
        super().clear()

    def setdefault(self, name: str, default: Any = None) -> Any:
        """An entry, which is set where it is missing."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several entries."""
        self._check()
        super().update(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Config {dict(self)}>"
