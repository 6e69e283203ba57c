"""Which optimizer, which rate: `python compare.py PACKAGE [--quick]`.

talweg compares all 225 configurations in one call. Keras has no such call, so a part of the
same 225 trainings runs in a loop, as a user would write it: build, compile, fit with
validation, clear. Prints the seconds per configuration and step as JSON, without the import.
"""

import json
import os
import sys
import time

import numpy as np

package, quick = sys.argv[1], "--quick" in sys.argv
OPTIMIZERS = ("sgd", "adam", "rmsprop", "adagrad", "nadam")
RATES = [float(rate) for rate in np.geomspace(1e-4, 1.0, 2 if quick else 9)]
FOLDS, EPOCHS, ROWS, BATCH = (2, 2, 400, 32) if quick else (5, 10, 2000, 32)
STEPS = EPOCHS * -(-(ROWS - ROWS // FOLDS) // BATCH)

random = np.random.default_rng(0)
x = random.normal(size=(ROWS, 20)).astype("float32")
y = (x @ np.linspace(-1, 1, 20) + random.normal(size=ROWS) > 0).astype("float32")


def build(keras, optimizer="adam"):
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def compare_with_talweg() -> tuple[float, int]:
    import talweg

    begun = time.perf_counter()
    talweg.compare(
        lambda: build(talweg), x, y, optimizers=OPTIMIZERS, learning_rates=RATES, folds=FOLDS,
        seeds=1, epochs=EPOCHS, batch_size=BATCH, monitor="val_loss", verbose=0,
    )  # fmt: skip
    return time.perf_counter() - begun, len(OPTIMIZERS) * len(RATES) * FOLDS


def compare_in_a_loop() -> tuple[float, int]:
    import keras

    def fit(name: str, rate: float, fold: int) -> None:
        held_out = np.arange(ROWS) % FOLDS == fold
        keras.utils.set_random_seed(fold)
        model = build(keras, keras.optimizers.get(name))
        model.optimizer.learning_rate = rate
        model.fit(
            x[~held_out], y[~held_out], validation_data=(x[held_out], y[held_out]),
            epochs=EPOCHS, batch_size=BATCH, verbose=0,
        )  # fmt: skip
        keras.utils.clear_session()

    fit("adam", RATES[0], 0)
    names = OPTIMIZERS[:1] if quick else (*OPTIMIZERS, "adam")
    begun = time.perf_counter()
    for i, name in enumerate(names):
        fit(name, RATES[i % len(RATES)], i % FOLDS)
    return time.perf_counter() - begun, len(names)


if package == "keras":
    os.environ["KERAS_BACKEND"] = "jax"
    seconds, configurations = compare_in_a_loop()
else:
    seconds, configurations = compare_with_talweg()
print(json.dumps({"seconds": seconds / (configurations * STEPS)}))
