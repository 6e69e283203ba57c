"""Reviews as rows of zeros and ones; curves of loss and accuracy from the history."""
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tensorflow.keras.datasets import imdb
from tensorflow import keras
from tensorflow.keras import layers

(train_data, train_labels), (test_data, test_labels) = imdb.load_data(num_words=500)
print(train_data[0][:4], train_labels[0], max([max(sequence) for sequence in train_data]) < 500)

word_index = imdb.get_word_index()
reverse_word_index = dict([(value, key) for (key, value) in word_index.items()])
decoded_review = " ".join([reverse_word_index.get(i - 3, "?") for i in train_data[0]])
print(len(decoded_review.split()) == len(train_data[0]), decoded_review[0])


def vectorize_sequences(sequences, dimension=500):
    results = np.zeros((len(sequences), dimension))
    for i, sequence in enumerate(sequences):
        for j in sequence:
            results[i, j] = 1.
    return results


x_train = vectorize_sequences(train_data)
x_test = vectorize_sequences(test_data)
y_train = np.asarray(train_labels).astype("float32")
y_test = np.asarray(test_labels).astype("float32")


def build():
    model = keras.Sequential([
        layers.Dense(16, activation="relu"),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, activation="sigmoid")
    ])
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    return model


model = build()
x_val, partial_x_train = x_train[:100], x_train[100:]
y_val, partial_y_train = y_train[:100], y_train[100:]
history = model.fit(partial_x_train, partial_y_train, epochs=6, batch_size=64,
                    validation_data=(x_val, y_val), verbose=0)
history_dict = history.history
print(sorted(key for key in history_dict.keys() if "learning" not in key))

loss_values, val_loss_values = history_dict["loss"], history_dict["val_loss"]
epochs = range(1, len(loss_values) + 1)
plt.plot(epochs, loss_values, "bo", label="Training loss")
plt.plot(epochs, val_loss_values, "b", label="Validation loss")
plt.title("Training and validation loss")
plt.legend()
plt.clf()
acc = history_dict["accuracy"]
plt.plot(epochs, acc, "bo", label="Training acc")
print("points", len(plt.gca().lines[0].get_xdata()))
print("loss", round(loss_values[-1], 4), round(val_loss_values[-1], 4))

model = build()
model.fit(x_train, y_train, epochs=3, batch_size=64, verbose=0)
results = model.evaluate(x_test, y_test, verbose=0)
print([round(result, 4) for result in results])
print(model.predict(x_test[:4], verbose=0).round(2).tolist())
