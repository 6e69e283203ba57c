"""Pictures: augmentation, residual blocks of separable convolutions, batch normalization."""
import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(17)
labels = rng.integers(0, 2, 96)
images = rng.uniform(0, 90, size=(96, 24, 24, 3))
images[labels == 1, 8:16, 8:16] += 120
images = images.astype("float32")

data_augmentation = keras.Sequential([
    layers.RandomFlip("horizontal"),
    layers.RandomRotation(0.1),
    layers.RandomZoom(0.2),
])
augmented = np.asarray(data_augmentation(images[:4], training=True))
print("augmented", augmented.shape, not np.allclose(augmented, images[:4]))
print("left alone", np.allclose(np.asarray(data_augmentation(images[:4], training=False)), images[:4]))

inputs = keras.Input(shape=(24, 24, 3))
x = layers.Rescaling(1. / 255)(inputs)
x = layers.Conv2D(filters=8, kernel_size=3, padding="same", use_bias=False)(x)
for size in [8, 12]:
    residual = x
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.SeparableConv2D(size, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.SeparableConv2D(size, 3, padding="same", use_bias=False)(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    residual = layers.Conv2D(size, 1, strides=2, padding="same", use_bias=False)(residual)
    x = layers.add([x, residual])
x = layers.GlobalAveragePooling2D()(x)
outputs = layers.Dense(1, activation="sigmoid")(x)
model = keras.Model(inputs=inputs, outputs=outputs)
print(model.count_params(), len(model.trainable_weights), len(model.non_trainable_weights))

model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"])
history = model.fit(images, labels, epochs=2, batch_size=24, verbose=0)
print("loss", [round(loss, 3) for loss in history.history["loss"]])
moving = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)][0]
print("moving", round(float(np.mean(moving.moving_variance)), 2))
print("predictions", model.predict(images[:3], verbose=0).shape)
