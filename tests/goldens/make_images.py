"""Records what TensorFlow's tf.image computes: images.json."""

import json
from pathlib import Path


def main() -> None:
    """Run all cases."""
    import image_cases as cases
    import numpy as np
    import tensorflow as tf

    record: dict = {"tensorflow": tf.__version__}
    for name, call in cases.CASES.items():
        found = call(tf, cases.IMAGES[name.split()[-1]]).numpy()
        value = np.round(found.astype("float64"), 6).tolist()
        record[name] = {"dtype": str(found.dtype), "value": value}
    path = Path(__file__).parent / "images.json"
    path.write_text(json.dumps(record, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
