"""News in many topics: one-hot targets, then whole numbers; the chance level."""
import copy

import keras
import numpy as np
from keras import layers
from keras.datasets import reuters
from keras.utils import to_categorical

(train_data, train_labels), (test_data, test_labels) = reuters.load_data(num_words=200, test_split=0.25)
print(len(train_data), len(test_data), len(reuters.get_label_names()))


def multi_hot_encode(sequences, num_classes):
    results = np.zeros((len(sequences), num_classes))
    for i, sequence in enumerate(sequences):
        results[i][sequence] = 1.0
    return results


x_train, x_test = multi_hot_encode(train_data, 200), multi_hot_encode(test_data, 200)
y_train, y_test = to_categorical(train_labels), to_categorical(test_labels)
print(y_train.shape[1] == y_test.shape[1] == 6)


def build():
    return keras.Sequential([
        layers.Dense(32, activation="relu"),
        layers.Dense(32, activation="relu"),
        layers.Dense(6, activation="softmax"),
    ])


model = build()
top_3_accuracy = keras.metrics.TopKCategoricalAccuracy(k=3, name="top_3_accuracy")
model.compile(optimizer="adam", loss="categorical_crossentropy",
              metrics=["accuracy", top_3_accuracy])
history = model.fit(x_train, y_train, epochs=5, batch_size=32, validation_split=0.1, verbose=0)
for name in ("loss", "val_loss", "top_3_accuracy"):
    print(name, round(history.history[name][-1], 3))
predictions = model.predict(x_test, verbose=0)
print(predictions[0].shape, round(float(np.sum(predictions[0])), 4))

model = build()
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, train_labels, epochs=5, batch_size=32, verbose=0)
loss, accuracy = model.evaluate(x_test, test_labels, verbose=0)
test_labels_copy = copy.copy(test_labels)
np.random.default_rng(0).shuffle(test_labels_copy)
chance = np.mean(np.array(test_labels) == test_labels_copy)
print("loss", round(loss, 3), "better than chance", accuracy > chance)
