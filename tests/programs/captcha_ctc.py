"""Reading captchas: a CTC layer that adds its loss, and the greedy and beam decoders."""
import keras
import numpy as np
from keras import layers, ops

characters = list("abcde")
max_length = 4
img_width, img_height = 24, 8

rng = np.random.default_rng(5)
glyphs = rng.uniform(size=(len(characters), 6, img_height))
labels = rng.integers(0, len(characters), (80, max_length))
images = np.concatenate([glyphs[labels[:, i]] for i in range(max_length)], axis=1)
images = (images + rng.normal(0, 0.05, images.shape))[..., None].astype("float32")


def ctc_batch_cost(y_true, y_pred, input_length, label_length):
    label_length = ops.cast(ops.squeeze(label_length, axis=-1), dtype="int32")
    input_length = ops.cast(ops.squeeze(input_length, axis=-1), dtype="int32")
    return ops.expand_dims(
        ops.ctc_loss(y_true, y_pred, label_length, input_length, mask_index=len(characters)), 1
    )


class CTCLayer(layers.Layer):
    def __init__(self, name=None):
        super().__init__(name=name)
        self.loss_fn = ctc_batch_cost

    def call(self, y_true, y_pred):
        batch_len = ops.cast(ops.shape(y_true)[0], dtype="int64")
        input_length = ops.cast(ops.shape(y_pred)[1], dtype="int64")
        label_length = ops.cast(ops.shape(y_true)[1], dtype="int64")
        input_length = input_length * ops.ones(shape=(batch_len, 1), dtype="int64")
        label_length = label_length * ops.ones(shape=(batch_len, 1), dtype="int64")
        loss = self.loss_fn(y_true, y_pred, input_length, label_length)
        self.add_loss(ops.mean(loss))
        return y_pred


def build_model():
    input_img = layers.Input(shape=(img_width, img_height, 1), name="image", dtype="float32")
    labels = layers.Input(name="label", shape=(None,), dtype="int32")
    x = layers.Conv2D(
        8, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same", name="Conv1"
    )(input_img)
    x = layers.MaxPooling2D((2, 2), name="pool1")(x)
    new_shape = (img_width // 2, (img_height // 2) * 8)
    x = layers.Reshape(target_shape=new_shape, name="reshape")(x)
    x = layers.Dense(16, activation="relu", name="dense1")(x)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    x = layers.Dense(len(characters) + 1, name="dense2")(x)
    output = CTCLayer(name="ctc_loss")(labels, x)
    model = keras.models.Model(inputs=[input_img, labels], outputs=output, name="ocr_model_v1")
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model


model = build_model()
early_stopping = keras.callbacks.EarlyStopping(
    monitor="val_loss", patience=10, restore_best_weights=True
)
history = model.fit(
    {"image": images[:64], "label": labels[:64]},
    validation_data=({"image": images[64:], "label": labels[64:]},),
    epochs=4, batch_size=16, callbacks=[early_stopping], verbose=0,
)
print("loss", [round(v, 3) for v in history.history["loss"]])
print("val_loss", [round(v, 3) for v in history.history["val_loss"]])

prediction_model = keras.models.Model(
    model.get_layer(name="image").output, model.get_layer(name="dense2").output
)
preds = prediction_model.predict(images[64:68], verbose=0)
print("preds", preds.shape)
lengths = np.full(len(preds), preds.shape[1])
for strategy in ("greedy",):
    (decoded, *_), scores = ops.ctc_decode(
        preds, lengths, strategy=strategy, mask_index=len(characters)
    )
    texts = []
    for row in np.asarray(decoded)[: , :max_length]:
        texts.append("".join(characters[i] for i in row if i >= 0))
    print(strategy, texts, np.round(np.ravel(scores)[:2], 2))

ctc = keras.losses.CTC()
rows = np.where(labels[:4] >= 0, labels[:4] + 1, 0)
print("ctc", round(float(ctc(rows, np.roll(preds, 1, -1))), 3))
