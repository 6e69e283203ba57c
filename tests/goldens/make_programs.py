"""Records what Keras says when it runs the programs of tests/programs.

    python tests/goldens/make_programs.py [PROGRAM …]

Writes programs.json: for each program the kind of Keras, its version and the lines that it
prints under the steady draws of steady.py. `--python PATH` names the Python that has
TensorFlow, and tf_keras for the programs of Keras 2; without it, its own.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
PROGRAMS = FOLDER.parent / "programs"
VERSIONS = {
    "keras": "import keras, jax; print('keras', keras.__version__, 'on jax', jax.__version__)",
    "tf.keras": "import keras, tensorflow as tf; "
    "print('keras', keras.__version__, 'on tensorflow', tf.__version__)",
    "keras2": "import tf_keras, tensorflow as tf; "
    "print('tf_keras', tf_keras.__version__, 'on tensorflow', tf.__version__)",
}


def shown(python: str, *command: str, backend: str = "jax") -> str:
    """What a command prints.

    Raises:
        RuntimeError: it fails.
    """
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [python, *command], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr[-3000:]}")
    return done.stdout


def recorded(python: str, name: str, kind: str) -> list[str]:
    """What a program says on Keras."""
    from goldens.steady import lines

    return lines(shown(python, str(FOLDER / "steady.py"), kind, str(PROGRAMS / f"{name}.py")))


def main() -> None:
    """Record the programs named, or all."""
    from goldens.program_cases import REFERENCES

    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("programs", nargs="*")
    options = parser.parse_args()
    path = FOLDER / "programs.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    record["made_by"] = "tests/goldens/make_programs.py"
    kept = {name: old for name, old in record.get("programs", {}).items() if name in REFERENCES}
    versions = {}
    for name in options.programs or REFERENCES:
        kind = REFERENCES[name]
        if kind not in versions:
            backend = "jax" if kind == "keras" else "tensorflow"
            versions[kind] = shown(options.python, "-c", VERSIONS[kind], backend=backend).strip()
        kept[name] = {
            "kind": kind,
            "library": versions[kind],
            "lines": recorded(options.python, name, kind),
        }
        print(name, versions[kind])
        record["programs"] = dict(sorted(kept.items()))
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parent))
    main()
