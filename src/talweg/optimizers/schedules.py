"""`talweg.schedules` under the path that it has in Keras."""

from talweg.schedules import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]
from talweg.schedules import __all__ as __all__
