"""Contestants: processes that are started, measured again and again, and closed."""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from benchmarks.catalog import PEERS

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(__file__).resolve().parent / "scripts"

# Seconds after which a process that does not answer has failed.
PATIENCE = 900


class Failure(Exception):
    """A contestant ended or did not answer; the message is the end of what it printed."""


class Running(Protocol):
    """A contestant that has been started.

    Attributes:
        loss: the training loss after the warm-up, or another number by which peers that do
            the same work are known; None where there is none.
    """

    loss: float | None

    def measure(self) -> float:
        """Seconds per unit of work."""
        ...


class Contestant(Protocol):
    """Somebody who takes part in a row.

    Attributes:
        label: how tables name it.
    """

    label: str

    def missing(self) -> list[str]:
        """What it needs and this machine lacks, by name."""
        ...

    def start(self, quick: bool) -> contextlib.AbstractContextManager[Running]:
        """Start and warm it."""
        ...


@dataclass(frozen=True)
class Training:
    """A peer that trains a workload, in one process that stays; seconds per step.

    Attributes:
        peer: its name in `PEERS`.
        workload: the name in `WORKLOADS`.
    """

    peer: str
    workload: str

    @property
    def label(self) -> str:
        return PEERS[self.peer].label

    def missing(self) -> list[str]:
        return PEERS[self.peer].missing()

    @contextlib.contextmanager
    def start(self, quick: bool) -> Iterator[Running]:
        command = [sys.executable, "-m", "benchmarks.worker", self.peer, self.workload]
        environment = {**os.environ, **PEERS[self.peer].environment}
        with (
            tempfile.TemporaryFile("w+") as printed,
            subprocess.Popen(
                [*command, "--quick"] if quick else command,
                cwd=ROOT, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed,
            ) as process,
        ):  # fmt: skip
            try:
                yield _Worker(process, printed)
            finally:
                process.kill()


class _Worker:
    def __init__(self, process: Any, printed: IO[str]):
        self._process, self._printed = process, printed
        self.loss: float | None = self._answer()["loss"]

    def measure(self) -> float:
        self._process.stdin.write("measure\n")
        self._process.stdin.flush()
        return self._answer()["seconds"]

    def _answer(self) -> dict[str, float]:
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise Failure(_end(self._printed) or f"no answer within {PATIENCE} s")
        return json.loads(line)


@dataclass(frozen=True)
class Script:
    """A command, run anew for each measurement.

    Attributes:
        label: how tables name it.
        arguments: of Python; those that end in .py are in benchmarks/scripts.
        modules: what must be installed.
        quick: arguments added for a smoke run.
        full: arguments added otherwise.
        reports: whether it prints `{"seconds": ...}` itself; else its wall time counts.
        cache: "cold": an empty compilation cache each time; "warm": one that an earlier
            run has filled; "": left alone.
    """

    label: str
    arguments: tuple[str, ...]
    modules: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    reports: bool = False
    cache: str = ""

    def missing(self) -> list[str]:
        from importlib.util import find_spec

        return [name for name in self.modules if find_spec(name) is None]

    @contextlib.contextmanager
    def start(self, quick: bool) -> Iterator[Running]:
        with tempfile.TemporaryDirectory() as cache:
            running = _Command(self, quick, Path(cache))
            running.measure()  # fills caches: bytecode, the disk's, compiled programs if warm
            yield running


class _Command:
    def __init__(self, script: Script, quick: bool, cache: Path):
        self.loss = None
        self._script, self._cache = script, cache
        arguments = [str(SCRIPTS / a) if a.endswith(".py") else a for a in script.arguments]
        self._command = [sys.executable, *arguments, *(script.quick if quick else script.full)]
        self._runs = 0

    def measure(self) -> float:
        self._runs += 1
        # An installed package has its bytecode; one that runs from its source writes it once.
        environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONDONTWRITEBYTECODE": ""}
        if self._script.cache:
            name = "warm" if self._script.cache == "warm" else f"cold-{self._runs}"
            folder = self._cache / name
            folder.mkdir(exist_ok=True)
            environment.pop("JAX_COMPILATION_CACHE_DIR", None)
            environment["TALWEG_COMPILE_CACHE"] = str(folder)
        begun = time.perf_counter()
        # In a folder of its own: a module of the working folder must not be imported.
        done = subprocess.run(
            self._command, cwd=self._cache, env=environment, text=True, capture_output=True,
            timeout=PATIENCE,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
        if done.returncode:
            raise Failure(_last(done.stderr))
        if self._script.reports:
            return json.loads(done.stdout.splitlines()[-1])["seconds"]
        return seconds


def _end(printed: IO[str]) -> str:
    printed.seek(0)
    return _last(printed.read())


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
