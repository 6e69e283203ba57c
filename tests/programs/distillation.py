"""Knowledge distillation: a student with a teacher inside, compute_loss and call overridden."""
import keras
import numpy as np
from keras import layers, ops


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher = teacher
        self.student = student

    def compile(
        self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha=0.1, temperature=3
    ):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss_fn = student_loss_fn
        self.distillation_loss_fn = distillation_loss_fn
        self.alpha = alpha
        self.temperature = temperature

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False
    ):
        teacher_pred = self.teacher(x, training=False)
        student_loss = self.student_loss_fn(y, y_pred)
        distillation_loss = self.distillation_loss_fn(
            ops.softmax(teacher_pred / self.temperature, axis=1),
            ops.softmax(y_pred / self.temperature, axis=1),
        ) * (self.temperature**2)
        return self.alpha * student_loss + (1 - self.alpha) * distillation_loss

    def call(self, x):
        return self.student(x)


def network(filters, name):
    return keras.Sequential(
        [
            keras.Input(shape=(8, 8, 1)),
            layers.Conv2D(filters, (3, 3), strides=(2, 2), padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.MaxPooling2D(pool_size=(2, 2), strides=(1, 1), padding="same"),
            layers.Conv2D(2 * filters, (3, 3), strides=(2, 2), padding="same"),
            layers.Flatten(),
            layers.Dense(4),
        ],
        name=name,
    )


teacher, student = network(8, "teacher"), network(4, "student")
student_scratch = keras.models.clone_model(student)
student_scratch.set_weights(student.get_weights())
rng = np.random.default_rng(16)
y = rng.integers(0, 4, 160)
x = (rng.normal(0, 0.5, (160, 8, 8, 1)) + (y - 1.5)[:, None, None, None]).astype("float32")

teacher.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
)
history = teacher.fit(x, y, epochs=3, verbose=0)
print("teacher", [round(v, 4) for v in history.history["loss"]])
frozen = [np.array(w) for w in teacher.get_weights()]

distiller = Distiller(student=student, teacher=teacher)
distiller.compile(
    optimizer=keras.optimizers.Adam(0.01),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
    student_loss_fn=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    distillation_loss_fn=keras.losses.KLDivergence(),
    alpha=0.1,
    temperature=10,
)
distiller.teacher.trainable = False
history = distiller.fit(x, y, epochs=3, verbose=0)
print("distilled", [round(v, 4) for v in history.history["loss"]])
print("accuracy", round(history.history["sparse_categorical_accuracy"][-1], 2))
print("same teacher", all((a == b).all() for a, b in zip(frozen, teacher.get_weights())))
result = distiller.evaluate(x, y, verbose=0, return_dict=True)
print(sorted(result), round(result["loss"], 3))
student_scratch.compile(
    optimizer=keras.optimizers.Adam(0.01),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
)
history = student_scratch.fit(x, y, epochs=3, verbose=0)
print("scratch", [round(v, 4) for v in history.history["loss"]])
