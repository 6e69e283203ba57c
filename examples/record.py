"""Run the examples in full, record their scores in scores.json and in README.md's table.

    python examples/record.py              all
    python examples/record.py digits xray  these; the others keep what was recorded
    python examples/record.py --table      only write the table again

An example that fails, for want of data or of a package, keeps its old record, and the exit
status says so.
"""

import ast
import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCORES = HERE / "scores.json"
BEGIN, END = "<!-- scores: begin -->", "<!-- scores: end -->"


def examples() -> list[str]:
    """The names of all examples."""
    own = Path(__file__).stem
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem != own)


def declared(name: str) -> dict[str, str]:
    """What the docstring of an example says of its task, data, model and baseline.

    Raises:
        ValueError: a line is missing.
    """
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text)) or ""
    said = {"task": docstring.partition("\n")[0].rstrip(".")}
    for key in ("Data", "Model", "Baseline"):
        line = re.search(rf"^{key}: (.+)$", docstring, re.MULTILINE)
        if line is None:
            raise ValueError(f"{name}.py: the docstring lacks a line `{key}: …`; see README.md.")
        said[key.lower()] = line[1].rstrip(".")
    return said


def scores_in(name: str, output: str) -> dict[str, float]:
    """The scores in the last line that an example printed.

    >>> scores_in("digits", "…\\ndigits: accuracy 0.98, baseline 0.8\\n")
    {'accuracy': 0.98, 'baseline': 0.8}

    Raises:
        ValueError: the last line is another.
    """
    line = output.rstrip().rpartition("\n")[2]
    said, _, pairs = line.partition(": ")
    words = [pair.rpartition(" ") for pair in pairs.split(", ")]
    if said != name or not all(key for key, _, _ in words):
        raise ValueError(f"{name}: the last line should name the scores, got {line!r}.")
    return {key: float(value) for key, _, value in words}


def recorded() -> dict[str, Any]:
    """What scores.json holds; read anew each time, since several may record at once."""
    return json.loads(SCORES.read_text(encoding="utf-8")) if SCORES.exists() else {}


def run(name: str) -> dict[str, object] | None:
    """Run one example, show what it prints, return its record; None where it failed."""
    print(f"── {name}", flush=True)
    folder = HERE / "pictures"
    folder.mkdir(exist_ok=True)
    began = time.perf_counter()
    lines = []
    with subprocess.Popen(
        [sys.executable, str(HERE / f"{name}.py")],
        cwd=folder, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
    ) as process:  # fmt: skip
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode != 0:
        print(f"{name}: failed with status {process.returncode}", flush=True)
        return None
    versions = {package: importlib.metadata.version(package) for package in ("talweg", "jax")}
    return {
        "scores": scores_in(name, "".join(lines)),
        "seconds": round(time.perf_counter() - began, 1),
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **versions},
    }


def table(records: Mapping[str, Mapping]) -> str:
    """The rows of README.md, of all examples that were recorded."""
    rows = [
        "| example | data | model | scores | baseline | time |",
        "| --- | --- | --- | --- | --- | ---: |",
    ]
    for name in examples():
        if name not in records:
            continue
        said, record = declared(name), records[name]
        scores = dict(record["scores"])
        baseline = scores.pop("baseline")
        shown = [f"{key.replace('_', ' ')} {value:.4g}" for key, value in scores.items()]
        shown[0] = f"**{shown[0]}**"
        rows.append(
            f"| [{name}]({name}.py): {said['task']} | {said['data']} | {said['model']} "
            f"| {', '.join(shown)} | {baseline:.4g}, {said['baseline']} "
            f"| {record['seconds']:.0f} s |"
        )
    machines = sorted({f"{r['machine']}, jax {r['versions']['jax']}" for r in records.values()})
    return "\n".join([*rows, "", f"Times are of the whole process, on {'; '.join(machines)}."])


def write_table(records: Mapping[str, Mapping]) -> None:
    """Put the table in README.md, between its marks."""
    readme = HERE / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{table(records)}\n{END}{after}", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Run and record the examples that are named, or all."""
    names = list(sys.argv[1:] if argv is None else argv)
    failed = []
    for name in [] if names == ["--table"] else names or examples():
        if name not in examples():
            raise SystemExit(f"record: no example {name!r}; there are {', '.join(examples())}")
        record = run(name)
        if record is None:
            failed.append(name)
            continue
        records = recorded() | {name: record}
        text = json.dumps(dict(sorted(records.items())), indent=1)
        SCORES.write_text(text + "\n", encoding="utf-8")
    write_table(recorded())
    if failed:
        raise SystemExit(f"record: not recorded: {', '.join(failed)}")


if __name__ == "__main__":
    main()
