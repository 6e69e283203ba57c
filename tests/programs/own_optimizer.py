"""An optimizer, a metric and schedules of one's own, as Keras 3 has them."""
import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="mine")
class SignMomentum(keras.optimizers.Optimizer):
    """The sign of a moving average of the gradients."""

    def __init__(self, learning_rate=0.001, momentum=0.9, name="sign_momentum", **kwargs):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.averages = self.add_optimizer_variables(variables, "average")

    def update_step(self, gradient, variable, learning_rate):
        lr = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        average = self.averages[self._get_variable_index(variable)]
        self.assign(
            average, average * self.momentum + gradient * (1 - self.momentum)
        )
        self.assign_sub(variable, lr * ops.sign(average))

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak, warmup_steps):
        self.peak = peak
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        warm = ops.cast(self.warmup_steps, "float32")
        return self.peak * ops.where(step < warm, (step + 1) / warm, ops.rsqrt(ops.maximum(step, 1) / warm))

    def get_config(self):
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}


class TransformerSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, d_model, warmup_steps=4000):
        super().__init__()
        self.d_model = ops.cast(d_model, "float32")
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, dtype="float32")
        arg1 = ops.rsqrt(step)
        arg2 = step * (self.warmup_steps**-1.5)
        return ops.rsqrt(self.d_model) * ops.minimum(arg1, arg2)


class BinaryTruePositives(keras.metrics.Metric):
    def __init__(self, name="binary_true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_weight(name="tp", initializer="zeros")
        self.seen = self.add_variable(shape=(2,), initializer="zeros", name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = ops.cast(y_true, "bool")
        y_pred = ops.greater_equal(y_pred, 0.5)
        values = ops.logical_and(ops.equal(y_true, True), ops.equal(y_pred, True))
        values = ops.cast(values, self.dtype)
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, self.dtype)
            values = values * ops.reshape(sample_weight, (-1, 1))
        self.true_positives.assign_add(ops.sum(values))
        self.seen.assign(self.seen + ops.convert_to_tensor([1.0, 2.0]))

    def result(self):
        return ops.convert_to_tensor(self.true_positives)

    def reset_state(self):
        self.true_positives.assign(0.0)
        self.seen.assign(ops.zeros((2,)))


class Share(keras.metrics.MeanMetricWrapper):
    def __init__(self, threshold=0.5, name="share", **kwargs):
        super().__init__(lambda t, p, threshold: ops.cast(p > threshold, "float32"), name=name, threshold=threshold, **kwargs)


rng = np.random.default_rng(24)
x = rng.normal(size=(160, 6)).astype("float32")
y = (x[:, :1] * x[:, 1:2] > 0).astype("float32")


def make():
    return keras.Sequential(
        [layers.Input((6,)), layers.Dense(12, "tanh"), layers.Dense(1, activation="sigmoid")]
    )


for optimizer in (
    SignMomentum(0.003),
    SignMomentum(Warmup(0.01, 5), momentum=0.5, weight_decay=0.01, clipnorm=1.0),
    SignMomentum(0.003, use_ema=True, ema_momentum=0.9),
    SignMomentum(0.01, gradient_accumulation_steps=2),
    keras.optimizers.Adam(TransformerSchedule(16, 10), beta_1=0.9, beta_2=0.98, epsilon=1e-9),
):
    model = make()
    model.compile(optimizer, "binary_crossentropy", metrics=[BinaryTruePositives(), Share(0.4)])
    history = model.fit(x, y, epochs=3, batch_size=32, verbose=0)
    print(
        optimizer.name, [round(v, 4) for v in history.history["loss"]],
        [round(v, 3) for v in history.history["share"]], int(optimizer.iterations),
    )
print("positives", model.evaluate(x, y, verbose=0, return_dict=True)["binary_true_positives"] > 0)
weighted = model.evaluate(x, y, sample_weight=np.full(160, 0.5), verbose=0)
print("weighted", len(weighted), round(weighted[0], 3))

optimizer = SignMomentum(0.01)
variable = keras.Variable([1.0, -2.0])
optimizer.build([variable])
for _ in range(3):
    optimizer.apply_gradients([(ops.sign(variable) * 2, variable)])
print("applied", np.round(np.array(variable), 4), len(optimizer.variables), sorted(optimizer.get_config())[-3:])
model = make()
model.compile(SignMomentum(0.003), "binary_crossentropy")
model.fit(x, y, epochs=1, verbose=0)
model.save("signed.keras")
again = keras.models.load_model("signed.keras")
print(type(again.optimizer).__name__, again.optimizer.momentum, int(again.optimizer.iterations))
one = model.fit(x, y, epochs=1, verbose=0).history["loss"]
two = again.fit(x, y, epochs=1, verbose=0).history["loss"]
print("goes on", np.allclose(one, two, atol=1e-5))
