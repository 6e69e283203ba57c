"""Records what Keras's model of raw text answers, and its file.

Writes text_model.json and text_model.keras: a model on ids, compiled and trained, behind a
TextVectorization, as Keras's example of text classification exports it. Keras runs on TensorFlow.
"""

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
FOLDER = Path(__file__).parent
TEXTS = ["A good film!", "bad film", "good, good plot", "Bad plot; nothing else", "qux", ""]
LABELS = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]


def main() -> None:
    """Train, export, ask."""
    import keras
    import tensorflow as tf
    from keras import layers

    keras.utils.set_random_seed(0)
    texts, labels = tf.constant(TEXTS), tf.constant(LABELS)
    vectorize = layers.TextVectorization(max_tokens=8, output_sequence_length=4)
    vectorize.adapt(TEXTS[:4])
    ids = keras.Input((None,), dtype="int64")
    hidden = layers.GlobalAveragePooling1D()(layers.Embedding(8, 3)(ids))
    inner = keras.Model(ids, layers.Dense(1, activation="sigmoid")(hidden))
    inner.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    inner.fit(vectorize(texts), labels, epochs=3, verbose=0)
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, inner(vectorize(inputs)))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    record = {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "texts": TEXTS,
        "labels": LABELS,
        "predicted": model.predict(texts, verbose=0).tolist(),
        "evaluated": model.evaluate(texts, labels, verbose=0),
    }
    model.save(FOLDER / "text_model.keras")
    (FOLDER / "text_model.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
