"""A stateful recurrent network that learns to write, letter by letter."""
import numpy as np
import keras

text = "to be or not to be, that is the question: whether it is nobler in the mind to suffer. " * 6
vocab = sorted(set(text))
char2idx = {u: i for i, u in enumerate(vocab)}
idx2char = np.array(vocab)
encoded = np.array([char2idx[c] for c in text])
n_steps, batch_size = 16, 4
print("letters", len(vocab), "text", len(encoded))

# for a stateful network row i of a batch goes on where row i of the last one ended
per_row = (len(encoded) - 1) // (batch_size * n_steps) * n_steps
X = np.stack([encoded[i * per_row:(i + 1) * per_row] for i in range(batch_size)])
Y = np.stack([encoded[i * per_row + 1:(i + 1) * per_row + 1] for i in range(batch_size)])
windows = range(0, per_row, n_steps)
x_train = np.concatenate([X[:, s:s + n_steps] for s in windows])
y_train = np.concatenate([Y[:, s:s + n_steps] for s in windows])


def build_model(batch_size, stateful):
    model = keras.Sequential()
    model.add(keras.Input(batch_shape=(batch_size, None)))
    model.add(keras.layers.Embedding(len(vocab), 8))
    model.add(keras.layers.GRU(24, return_sequences=True, stateful=stateful))
    model.add(keras.layers.Dense(len(vocab)))
    return model


class ResetStatesCallback(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        for layer in self.model.layers:
            if hasattr(layer, "reset_states"):
                layer.reset_states()


model = build_model(batch_size, stateful=True)
model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
              optimizer=keras.optimizers.SGD(0.5))
history = model.fit(x_train, y_train, batch_size=batch_size, epochs=8, shuffle=False, verbose=0,
                    callbacks=[ResetStatesCallback()])
print("loss", [round(loss, 3) for loss in history.history["loss"][:3]])
print("lower", history.history["loss"][-1] < history.history["loss"][0] - 0.1)

writer = build_model(1, stateful=True)
writer.set_weights(model.get_weights())
state = writer.layers[1]


def generate_text(start, count, temperature=0.2):
    state.reset_states()
    rng = np.random.default_rng(1)
    written = start
    logits = writer.predict(np.array([[char2idx[c] for c in start]]), verbose=0)[0, -1]
    for _ in range(count):
        p = np.exp((logits - logits.max()) / temperature)
        letter = rng.choice(len(vocab), p=p / p.sum())
        written += idx2char[letter]
        logits = writer.predict(np.array([[letter]]), verbose=0)[0, -1]
    return written


words = generate_text("to be ", 20)
print("written", len(words), set(words) <= set(vocab))
first = writer.predict(np.array([[3]]), verbose=0)
second = writer.predict(np.array([[3]]), verbose=0)
state.reset_states()
third, fourth = (writer.predict(np.array([[3]]), verbose=0) for _ in range(2))
print("remembers", not np.allclose(first, second), not np.allclose(third, fourth))
state.reset_states()
print("forgets", np.allclose(third, writer.predict(np.array([[3]]), verbose=0), atol=1e-6))
