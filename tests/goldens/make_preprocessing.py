"""Records what Keras on TensorFlow's strings computes in its preprocessing layers.

Writes preprocessing.json: for each case of preprocessing_cases.py the output, its type, the
vocabulary and the config. Needs Keras, JAX and TensorFlow: KERAS_BACKEND is set to "jax", as
talweg's outputs are to be those of Keras on JAX.
"""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
FOLDER = Path(__file__).parent


def recorded(name: str, arguments: dict, learned: object, inputs: object) -> dict:
    """One case, run."""
    import keras
    import numpy as np

    layer = getattr(keras.layers, name)(**arguments, name="it")
    if learned is not None:
        layer.adapt(np.array(learned))
    crossing = name == "HashedCrossing"
    outputs = layer(tuple(map(np.array, inputs)) if crossing else np.array(inputs))
    config = layer.get_config()
    return {
        "case": [name, arguments, learned, inputs],
        "outputs": np.asarray(outputs).tolist(),
        "dtype": str(np.asarray(outputs).dtype),
        "vocabulary": [
            token if isinstance(token, str) or token is None else int(token)
            for token in (layer.get_vocabulary() if hasattr(layer, "get_vocabulary") else [])
        ],
        "config": json.loads(json.dumps(config)),
    }


def main() -> None:
    """Write the file."""
    import keras
    import tensorflow

    from goldens.preprocessing_cases import CASES

    record = {
        "made_by": "tests/goldens/make_preprocessing.py",
        "keras": keras.__version__,
        "tensorflow": tensorflow.__version__,
        "cases": [recorded(*case) for case in CASES],
    }
    path = FOLDER / "preprocessing.json"
    path.write_text(json.dumps(record, indent=None, separators=(",", ":"), sort_keys=True) + "\n")
    print(f"{len(CASES)} cases of keras {keras.__version__}")


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parent))
    main()
