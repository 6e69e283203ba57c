"""Run a script as `python script.py` would, with Keras's names answered by talweg."""

import io
import os
import select
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType, TracebackType

from talweg.compat.finder import install

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
INTERRUPTED = 130


def run_script(path: str, arguments: Sequence[str] = ()) -> int:
    """Run the script at `path` as the program of this process.

    It sees itself as `__main__`, with its own `sys.argv`, `sys.path[0]` and `__file__`.

    Args:
        path: the script.
        arguments: what follows in `sys.argv`.

    Returns:
        The exit code: 0, 1 after an uncaught exception (its traceback is printed, without
        talweg's own frames of running it), 2 if there is no such script, 130 after Ctrl-C.

    Raises:
        SystemExit: the script called `sys.exit`.
    """
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        print(f"talweg: cannot read the script {path!r}: {error.strerror}.", file=sys.stderr)
        return 2
    install()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        exec(code, vars(_become(path, arguments, code)))
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _stdout_is_closed():
            raise
        _trim(error)
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _become(path: str, arguments: Sequence[str], code: CodeType) -> ModuleType:
    """The module `__main__` of the script, in its place."""
    main = ModuleType("__main__")
    main.__file__ = path
    vars(main).update(__builtins__=__builtins__, __cached__=None, __spec__=None)
    main.__doc__ = code.co_consts[0] if isinstance(code.co_consts[0], str) else None
    sys.modules["__main__"] = main
    sys.argv[:] = [path, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.abspath(path))
    return main


def _trim(error: BaseException) -> None:
    """Leave the frames of this package and of the import system out of the traceback."""
    chain: list[BaseException | None] = [error]
    seen: set[int] = set()
    while chain:
        link = chain.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = _without_own(link.__traceback__)
        chain += [link.__cause__, link.__context__]


def _without_own(trace: TracebackType | None) -> TracebackType | None:
    if trace is None:
        return None
    rest = _without_own(trace.tb_next)
    filename = trace.tb_frame.f_code.co_filename
    if filename.startswith((_HERE, "<frozen importlib")):
        return rest
    return TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def _stdout_is_closed() -> bool:
    """Whether the reader of the output has gone; a broken pipe elsewhere is an error."""
    try:
        sys.stdout.flush()
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except BrokenPipeError:
        return True
    except (AttributeError, OSError):  # no poll on this system, or no file
        return False
