"""Grad-CAM, saliency, integrated gradients, filters by gradient ascent and deep dream on JAX."""
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from keras import layers, ops

rng = np.random.default_rng(6)
labels = rng.integers(0, 3, 64)
images = rng.uniform(0, 60, (64, 16, 16, 3))
for image, label in zip(images, labels):
    image[4 * label : 4 * label + 6, 5:11] += 150
images = images.astype("float32")

inputs = keras.Input((16, 16, 3), name="picture")
x = layers.Rescaling(1.0 / 127.5, offset=-1)(inputs)
x = layers.Conv2D(8, 3, activation="relu", padding="same", name="block1_conv1")(x)
x = layers.MaxPooling2D()(x)
x = layers.SeparableConv2D(12, 3, padding="same", name="block2_sepconv")(x)
x = layers.BatchNormalization(name="block2_bn")(x)
x = layers.Activation("relu", name="block2_act")(x)
x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
outputs = layers.Dense(3, activation="softmax", name="predictions")(x)
model = keras.Model(inputs, outputs)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, labels, epochs=2, batch_size=16, verbose=0)
img_array = np.expand_dims(images[0], axis=0)
preds = model.predict(img_array, verbose=0)
print("predicted", np.round(preds[0], 4).tolist())


def make_gradcam_heatmap(img_array, model, last_conv_layer_name, pred_index=None):
    last_conv_layer_model = keras.Model(
        model.inputs, model.get_layer(last_conv_layer_name).output
    )
    classifier_input = keras.Input(shape=last_conv_layer_model.output.shape[1:])
    x = classifier_input
    for name in ("avg_pool", "predictions"):
        x = model.get_layer(name)(x)
    classifier_model = keras.Model(classifier_input, x)

    def loss_fn(last_conv_output):
        preds = classifier_model(last_conv_output)
        index = ops.argmax(preds[0]) if pred_index is None else pred_index
        return preds[0, index]

    last_conv_output = last_conv_layer_model(img_array)
    grads = jax.grad(loss_fn)(last_conv_output)
    pooled_grads = ops.mean(grads, axis=(0, 1, 2))
    last_conv_output = last_conv_output[0]
    heatmap = last_conv_output @ pooled_grads[..., None]
    heatmap = ops.squeeze(heatmap)
    heatmap = ops.maximum(heatmap, 0) / ops.max(ops.abs(heatmap))
    return np.array(heatmap)


model.layers[-1].activation = None
heatmap = make_gradcam_heatmap(img_array, model, "block2_act")
print("heatmap", heatmap.shape, [round(float(v), 3) for v in heatmap[::3, 4]])
print("of class 2", round(float(make_gradcam_heatmap(img_array, model, "block2_act", 2).mean()), 4))
heatmap = np.uint8(255 * heatmap)
coloured = np.zeros((*heatmap.shape, 3))
coloured[..., 0] = heatmap
coloured = keras.utils.array_to_img(coloured)
coloured = coloured.resize((16, 16))
coloured = keras.utils.img_to_array(coloured)
superimposed = keras.utils.array_to_img(coloured * 0.4 + images[0])
superimposed.save("cam.jpg")
back = keras.utils.load_img("cam.jpg", target_size=(8, 8))
print("picture", superimposed.size, keras.utils.img_to_array(back).shape)


def get_gradients(img_input, top_pred_idx):
    return jax.grad(lambda im: ops.sum(model(im)[:, top_pred_idx]))(img_input)


def get_integrated_gradients(img_input, top_pred_idx, num_steps=10):
    baseline = np.zeros(img_input.shape).astype("float32")
    interpolated = np.array(
        [baseline + (step / num_steps) * (img_input - baseline) for step in range(num_steps + 1)]
    )
    grads = ops.stack([get_gradients(ops.convert_to_tensor(im), top_pred_idx) for im in interpolated])
    grads = (grads[:-1] + grads[1:]) / 2.0
    return (img_input - baseline) * ops.mean(grads, axis=0)


top = int(np.argmax(preds[0]))
integrated = get_integrated_gradients(img_array, top)
gain = model(img_array)[0, top] - model(img_array * 0)[0, top]
print("integrated", round(float(ops.sum(integrated)), 3), "gain", round(float(gain), 3))

feature_extractor = keras.Model(inputs=model.inputs, outputs=model.get_layer("block2_sepconv").output)


def compute_loss(input_image, filter_index):
    activation = feature_extractor(input_image)
    filter_activation = activation[:, 2:-2, 2:-2, filter_index]
    return ops.mean(filter_activation)


@jax.jit
def gradient_ascent_step(img, filter_index):
    loss, grads = jax.value_and_grad(compute_loss)(img, filter_index)
    grads = grads / ops.maximum(ops.norm(grads), 1e-12)
    return loss, img + 10.0 * grads


img = ops.convert_to_tensor(rng.uniform(100, 130, (1, 16, 16, 3)).astype("float32"))
found = []
for filter_index in (0, 3):
    seen = img
    for iteration in range(4):
        loss, seen = gradient_ascent_step(seen, filter_index)
    found.append(round(float(loss), 4))
print("filters", found)

layer_settings = {"block1_conv1": 1.0, "block2_act": 1.5}
outputs_dict = {name: model.get_layer(name).output for name in layer_settings}
dreamer = keras.Model(inputs=model.inputs, outputs=outputs_dict)


def dream_loss(input_image):
    features = dreamer(input_image)
    loss = 0.0
    for name, activation in features.items():
        loss += layer_settings[name] * ops.sum(ops.square(activation[:, 2:-2, 2:-2, :])) / activation.size
    return loss


image = ops.copy(img)
for octave in ((10, 10), (13, 13), (16, 16)):
    image = ops.image.resize(image, octave)
    for _ in range(2):
        loss, grads = jax.value_and_grad(dream_loss)(image) if octave == (16, 16) else (0.0, 0.0)
        image = image + 1.0 * grads / (ops.mean(ops.abs(grads)) + 1e-6)
print("dream", round(float(loss), 4), round(float(ops.mean(image)), 3))
