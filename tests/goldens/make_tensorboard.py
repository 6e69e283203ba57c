"""Records which values Keras's TensorBoard callback writes, and where.

Writes tensorboard.json: for each way of using it the files' kind, tag and step in order. Needs
Keras, JAX and TensorFlow, which writes for Keras.
"""

import json
import os
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
FOLDER = Path(__file__).parent
CASES = {
    "plain": {},
    "batches": {"update_freq": 2},
    "all": {"histogram_freq": 2, "write_images": True, "write_steps_per_second": True},
    "bare": {"write_graph": False, "update_freq": "batch", "write_steps_per_second": True},
}


def events_of(folder: str) -> dict[str, list]:
    """What stands in the files below: folder -> [kind, tag, step]."""
    import tensorflow as tf

    found: dict[str, list] = {}
    for path in sorted(Path(folder).rglob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                kind = value.metadata.plugin_data.plugin_name
                entry = [kind, value.tag, event.step]
                found.setdefault(path.parent.name, []).append(entry)
    return found


def main() -> None:
    """Record all cases."""
    import keras
    import numpy as np
    import tensorflow as tf

    x, y = np.linspace(-1, 1, 24).reshape(8, 3), np.ones((8, 1))
    cases = {}
    for name, options in CASES.items():
        keras.utils.clear_session()
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(1, name="b")]
        )
        model.compile("sgd", "mse", metrics=["mae"])
        with tempfile.TemporaryDirectory() as folder:
            callback = keras.callbacks.TensorBoard(folder, **options)
            model.fit(
                x, y, batch_size=2, epochs=3, validation_data=(x, y), callbacks=[callback],
                verbose=0, shuffle=False,
            )  # fmt: skip
            cases[name] = {"options": options, "events": events_of(folder)}
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    (FOLDER / "tensorboard.json").write_text(json.dumps({"versions": versions, "cases": cases}))


if __name__ == "__main__":
    main()
