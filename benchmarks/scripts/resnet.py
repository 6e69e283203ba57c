"""Making ResNet-50: `python resnet.py PACKAGE build|train|predict [--quick]`.

Prints the seconds as JSON, without the import: until the functional model stands, until its
first training step is done, or until its first prediction is; building and compiling included.
"""

import importlib
import json
import os
import sys
import time

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
package, what, quick = sys.argv[1], sys.argv[2], "--quick" in sys.argv
keras = importlib.import_module(package)
layers = keras.layers

SIDE, BATCH = 64, 8
STAGES = ((64, 1), (128, 1)) if quick else ((64, 3), (128, 4), (256, 6), (512, 3))


def normalized(x, filters, size, strides=1):
    x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def block(x, filters, strides):
    """A bottleneck with a short cut, projected where shapes change."""
    short = x
    if strides > 1 or x.shape[-1] != 4 * filters:
        short = normalized(x, 4 * filters, 1, strides)
    x = layers.Activation("relu")(normalized(x, filters, 1, strides))
    x = layers.Activation("relu")(normalized(x, filters, 3))
    return layers.Activation("relu")(layers.Add()([normalized(x, 4 * filters, 1), short]))


def resnet():
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Activation("relu")(normalized(inputs, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for stage, (filters, blocks) in enumerate(STAGES):
        for i in range(blocks):
            x = block(x, filters, 2 if stage and not i else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


random = np.random.default_rng(0)
x = random.normal(size=(BATCH, SIDE, SIDE, 3)).astype("float32")
y = random.integers(0, 10, BATCH)

begun = time.perf_counter()
model = resnet()
model.compile("adam", "sparse_categorical_crossentropy")
if what == "train":
    losses = model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
elif what == "predict":
    assert model.predict(x, batch_size=BATCH, verbose=0).shape == (BATCH, 10)
seconds = time.perf_counter() - begun
print(json.dumps({"seconds": seconds}))
