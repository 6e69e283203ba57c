"""Printing: whole lines, and one live line on a terminal.

Training must survive its output: a closed pipe or an encoding without "━" stops nothing.
The live line is plain text without a newline, redrawn in place; nothing has to be undone
when a run is interrupted.
"""

import contextlib
import logging
import os
import sys
from functools import lru_cache
from typing import Any, TextIO

_ERASE_LINE = "\r\x1b[2K"

_live_on: TextIO | None = None
_interactive = True


def enable_interactive_logging() -> None:
    """Print progress to the standard output, as at the start."""
    global _interactive
    _interactive = True


def disable_interactive_logging() -> None:
    """Send progress as whole lines to the logger "talweg", at level INFO."""
    global _interactive
    _interactive = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress goes to the standard output."""
    return _interactive


def is_terminal() -> bool:
    """Whether lines can be redrawn in place."""
    if not _interactive:
        return False
    try:
        interactive = sys.stdout.isatty()
    except (AttributeError, ValueError):  # no stream at all, or a closed one
        return False
    return interactive and os.environ.get("TERM") not in ("dumb", "unknown")


def say(line: str) -> None:
    """Print a line, in the place of the live one where there is one."""
    global _live_on
    if not _interactive:
        logging.getLogger("talweg").info(line)
        return
    prefix = ""
    if _live_on is not None:
        prefix = _ERASE_LINE if _live_on is sys.stdout else ""
        _live_on = None
    _write(f"{prefix}{line}\n")


def erase() -> None:
    """Take the live line away."""
    global _live_on
    if _live_on is not None:
        if _live_on is sys.stdout:
            _write(_ERASE_LINE)
        _live_on = None


def draw(parts: list[tuple[str, str]]) -> None:
    """Redraw the live line from (text, style) pairs, cut to the width of the terminal."""
    global _live_on
    from rich.text import Text

    stream = sys.stdout
    console = _console(stream)
    line = Text.assemble(*parts)
    line.truncate(max(console.width - 1, 1))
    with console.capture() as captured:
        console.print(line, end="\r", no_wrap=True, overflow="crop", highlight=False)
    _write(_ERASE_LINE + captured.get())
    _live_on = stream


@lru_cache(maxsize=1)
def _console(stream: TextIO) -> Any:
    from rich.console import Console

    return Console(file=stream, force_terminal=True)


def _write(text: str) -> None:
    stream = sys.stdout
    # A reader that has gone (BrokenPipeError), a full disk, a closed or absent stream.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            plain = text.replace("━", "=").encode(encoding, errors="replace").decode(encoding)
            stream.write(plain)
        stream.flush()
