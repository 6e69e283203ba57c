"""A training loop of one's own in Keras 3 on JAX: stateless calls, value_and_grad, metrics."""
import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

rng = np.random.default_rng(8)
x_train = rng.normal(size=(512, 12)).astype("float32")
labels = (x_train[:, 0] > 0).astype("int32") + 2 * (x_train[:, 1] * x_train[:, 2] > 0)

inputs = keras.Input(shape=(12,), name="digits")
x = keras.layers.Dense(32, activation="relu")(inputs)
x = keras.layers.BatchNormalization()(x)
x = keras.layers.Dense(32, activation="relu")(x)
outputs = keras.layers.Dense(4, name="predictions")(x)
model = keras.Model(inputs=inputs, outputs=outputs)

loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = keras.optimizers.Adam(learning_rate=1e-2)
train_acc_metric = keras.metrics.SparseCategoricalAccuracy()


def compute_loss_and_updates(trainable_variables, non_trainable_variables, metric_variables, x, y):
    y_pred, non_trainable_variables = model.stateless_call(
        trainable_variables, non_trainable_variables, x, training=True)
    loss = loss_fn(y, y_pred)
    metric_variables = train_acc_metric.stateless_update_state(metric_variables, y, y_pred)
    return loss, (non_trainable_variables, metric_variables)


grad_fn = jax.value_and_grad(compute_loss_and_updates, has_aux=True)


@jax.jit
def train_step(state, data):
    trainable, non_trainable, optimizer_variables, metric_variables = state
    x, y = data
    (loss, (non_trainable, metric_variables)), grads = grad_fn(
        trainable, non_trainable, metric_variables, x, y)
    trainable, optimizer_variables = optimizer.stateless_apply(
        optimizer_variables, grads, trainable)
    return loss, (trainable, non_trainable, optimizer_variables, metric_variables)


optimizer.build(model.trainable_variables)
state = (
    [v.value for v in model.trainable_variables],
    [v.value for v in model.non_trainable_variables],
    [v.value for v in optimizer.variables],
    [v.value for v in train_acc_metric.variables],
)
for epoch in range(3):
    for start in range(0, len(x_train), 64):
        data = (x_train[start:start + 64], labels[start:start + 64])
        loss, state = train_step(state, data)
    print(f"epoch {epoch}: loss {float(loss):.4f}")
    _, _, _, metric_variables = state
    for variable, value in zip(train_acc_metric.variables, metric_variables):
        variable.assign(value)
    print(f"  accuracy {float(train_acc_metric.result()):.4f}")
    train_acc_metric.reset_state()
    state = (*state[:3], [v.value for v in train_acc_metric.variables])

trainable, non_trainable, optimizer_variables, _ = state
for variable, value in zip(model.trainable_variables, trainable):
    variable.assign(value)
for variable, value in zip(model.non_trainable_variables, non_trainable):
    variable.assign(value)
predictions = keras.ops.argmax(model(x_train, training=False), axis=-1)
print("agrees", float((np.asarray(predictions) == labels).mean()))
