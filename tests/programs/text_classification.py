"""Reviews as text: bags of bigrams by TextVectorization, then embeddings with masks."""
import re
import string

import numpy as np
import keras
from keras import layers

rng = np.random.default_rng(13)
good, bad = ["great", "loved", "superb", "fun"], ["awful", "hated", "boring", "poor"]
fill = ["the", "film", "was", "a", "and", "<br />", "story", "it"]
texts, labels = [], []
for _ in range(240):
    label = int(rng.integers(2))
    words = [*rng.choice(fill, 6), *rng.choice(good if label else bad, 2)]
    texts.append(" ".join(rng.permutation(words)).capitalize() + ".")
    labels.append(label)
labels = np.array(labels)

text_vectorization = layers.TextVectorization(ngrams=2, max_tokens=60, output_mode="multi_hot")
text_vectorization.adapt(texts)
x = np.asarray(text_vectorization(texts))
print(x.shape, *text_vectorization.get_vocabulary()[:2])


def get_model(max_tokens=60, hidden_dim=8):
    inputs = keras.Input(shape=(max_tokens,))
    x = layers.Dense(hidden_dim, activation="relu")(inputs)
    x = layers.Dropout(0.5)(x)
    outputs = layers.Dense(1, activation="sigmoid")(x)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    return model


model = get_model()
history = model.fit(x[:200], labels[:200], validation_data=(x[200:], labels[200:]), epochs=4, verbose=0)
print("bigrams", [round(loss, 3) for loss in history.history["val_loss"]])


int_vectorization = layers.TextVectorization(max_tokens=40, output_mode="int", output_sequence_length=12)
int_vectorization.adapt(texts)
x = np.asarray(int_vectorization(texts))
print(x.shape, x.dtype.kind, int((x == 0).sum()))

inputs = keras.Input(shape=(None,), dtype="int64")
embedded = layers.Embedding(input_dim=40, output_dim=8, mask_zero=True)(inputs)
features = layers.Bidirectional(layers.LSTM(8))(embedded)
outputs = layers.Dense(1, activation="sigmoid")(features)
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.RMSprop(0.01), loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(x[:200], labels[:200], validation_data=(x[200:], labels[200:]), epochs=4, verbose=0)
print("masked", [round(loss, 3) for loss in history.history["val_loss"]])
print("good", float(history.history["val_accuracy"][-1]) > 0.8)

# from words to a decision in one call
raw = ["It was a superb film and fun", "A boring story, poor and awful"]
probabilities = np.asarray(model(int_vectorization(raw)))[:, 0]
print("decisions", probabilities[0] > 0.5 > probabilities[1])
cleaned = re.sub(f"[{re.escape(string.punctuation)}]", "", raw[1]).lower()
print("same", np.array_equal(np.asarray(int_vectorization([cleaned])), np.asarray(int_vectorization([raw[1]]))))
