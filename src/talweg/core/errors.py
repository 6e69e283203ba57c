"""How talweg says no: what was expected, what came, what to do.

Every error a user can cause is made here, so that all of them name the owner, the
parameter and the value in the same order:

    Adam: beta_1 must be in [0, 1), got 1.0. At 1.0 the first moment never moves.
    Unknown optimizer 'adma'. Did you mean 'adam'?
"""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any


class NonFiniteError(FloatingPointError, ValueError):
    """The data of a step, or its loss, holds NaN or infinity; the weights were kept."""


class MissingExtraError(ImportError):
    """An optional dependency is absent; the message names the install command."""


def shown(value: Any, limit: int = 80) -> str:
    """`repr(value)`, cut to `limit` characters, for use inside a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def invalid(owner: str, parameter: str, expected: str, got: Any, remedy: str = "") -> ValueError:
    """A parameter has an impossible value.

    >>> invalid("Adam", "beta_1", "in [0, 1)", 1.0, "0.9 is the usual choice.")
    ValueError('Adam: beta_1 must be in [0, 1), got 1.0. 0.9 is the usual choice.')
    """
    message = f"{owner}: {parameter} must be {expected}, got {shown(got)}."
    return ValueError(f"{message} {remedy}".rstrip())


def wrong_type(owner: str, parameter: str, expected: str, got: Any, remedy: str = "") -> TypeError:
    """A parameter has an impossible type."""
    kind = type(got).__name__
    message = f"{owner}: {parameter} must be {expected}, got {shown(got)} (a {kind})."
    return TypeError(f"{message} {remedy}".rstrip())


def unknown(kind: str, name: Any, known: Iterable[str]) -> ValueError:
    """An identifier names nothing; the nearest known names are offered.

    >>> unknown("optimizer", "adma", ["adam", "adamax", "sgd"])
    ValueError("Unknown optimizer 'adma'. Did you mean 'adam'?")
    """
    names = sorted(set(known))
    written = str(name).lower()
    near = difflib.get_close_matches(written, names, n=3, cutoff=0.5)
    # Letters in the wrong order are the commonest slip.
    near.sort(key=lambda candidate: sorted(candidate) != sorted(written))
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(names)}."
    return ValueError(f"Unknown {kind} {shown(name)}. {hint}")


def extra(module: str, extra_name: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say how to install it.

    Args:
        module: what to import, for example "pandas".
        extra_name: the extra of talweg that brings it, for example "data".
        purpose: what needed it, the subject of the message.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs {module.partition('.')[0]}, which is not installed. "
            f"Install it with: pip install 'talweg[{extra_name}]'"
        ) from error
