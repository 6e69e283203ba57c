"""Records what Keras's FeatureSpace makes of a table, and its file.

Writes feature_space.json, feature_space.keras and feature_space_model.keras. Needs Keras, JAX
and TensorFlow; Keras runs on JAX, TensorFlow reads its text.
"""

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
FOLDER = Path(__file__).parent


def plain(outputs: object) -> object:
    """Arrays as lists, with their types."""
    import numpy as np

    if isinstance(outputs, dict):
        return {name: plain(value) for name, value in outputs.items()}
    array = np.asarray(outputs)
    return {"dtype": str(array.dtype), "value": array.tolist()}


def main() -> None:
    """Record all cases."""
    import feature_space_cases as cases
    import keras
    import numpy as np
    import tensorflow as tf

    found = []
    for builder, mode in cases.CASES:
        keras.utils.clear_session()
        space = getattr(cases, builder)(keras.utils.FeatureSpace, mode)
        data = {name: cases.DATA[name] for name in space.features}
        unseen = {name: cases.UNSEEN[name] for name in space.features}
        space.adapt(data)
        first = {name: values[0] for name, values in data.items()}
        found.append(
            {
                "builder": builder,
                "mode": mode,
                "outputs": plain(space(data)),
                "unseen": plain(space(unseen)),
                "first": plain(space(first)),
                "config": json.loads(json.dumps(space.get_config())),
            }
        )
        if (builder, mode) == cases.CASES[0]:
            space.save(FOLDER / "feature_space.keras")
    keras.utils.clear_session()
    space = cases.numbers(keras.utils.FeatureSpace, "concat")
    space.adapt({name: cases.DATA[name] for name in space.features})
    model = keras.Model(space.get_inputs(), space.get_encoded_features())
    model.save(FOLDER / "feature_space_model.keras")
    columns = {name: np.array(cases.UNSEEN[name])[:, None] for name in space.features}
    found.append({"model": plain(model.predict(columns, verbose=0))})
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    text = json.dumps({"versions": versions, "cases": found})
    (FOLDER / "feature_space.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
