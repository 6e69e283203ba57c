"""Handwritten digits: which of ten does a picture of 28 × 28 points show?

Data: MNIST, 5,000 of its 70,000 pictures, CC BY-SA 3.0
Model: two convolutions with pooling, 35,000 weights; pictures turned, moved and scaled
Baseline: the nearest of the ten mean pictures

The rate finder tries seven rates side by side on copies of the model; the 1-cycle schedule goes up
to what it suggests and down to nothing, so that no epoch has to be picked. Every choice here
was made on the 500 pictures for validation; the 1,000 for the test are looked at in the end.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import talweg
from talweg import layers
from talweg.callbacks import Alarms, LambdaCallback
from talweg.optimizers import Adam, schedules

BATCH = 50
URL = "https://www.kaggle.com/datasets/hojjatk/mnist-dataset"


def load(folder: Path, rows: int | None, rng: np.random.Generator) -> list[tuple]:
    """Pictures in [0, 1] and labels: for training, validation (a tenth) and test (a fifth)."""
    path = folder / "mnist-5k.npz"
    if not path.exists():
        raise SystemExit(
            f"digits: {path} is missing; get MNIST from {URL} and put an npz there with `imgs` "
            "(n, 28, 28) and `labs` (n,), both uint8"
        )
    with np.load(path) as stored:
        images, labels = stored["imgs"], stored["labs"].astype("int32")
    order = rng.permutation(len(labels))[:rows]
    images, labels = images[order, :, :, None] / np.float32(255), labels[order]
    test, validation = len(labels) // 5, len(labels) // 5 + len(labels) // 10
    return [
        (images[validation:], labels[validation:]),
        (images[test:validation], labels[test:validation]),
        (images[:test], labels[:test]),
    ]


def build() -> talweg.Model:
    """The model; what its first three layers do is done in training only."""
    return talweg.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.RandomRotation(0.04, fill_mode="constant"),
            layers.RandomTranslation(0.07, 0.07, fill_mode="constant"),
            layers.RandomZoom(0.1, fill_mode="constant"),
            layers.Conv2D(32, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )


def nearest_mean(train: tuple, images: np.ndarray) -> np.ndarray:
    """The class whose mean picture is nearest, which is what can be had without learning."""
    means = np.stack([train[0][train[1] == digit].mean(axis=0) for digit in range(10)])
    distances = ((images[:, None] - means[None]) ** 2).sum(axis=(2, 3, 4))
    return distances.argmin(axis=1)


def show(epoch: int, logs: dict) -> None:
    """Print an epoch in one line."""
    shown = ("loss", "val_loss", "val_accuracy", "learning_rate")
    print(f"epoch {epoch + 1}: " + ", ".join(f"{name} {logs[name]:.4g}" for name in shown))


def draw_mistakes(images: np.ndarray, labels: np.ndarray, chances: np.ndarray) -> None:
    """Write digits.png: the test pictures that were taken for another digit."""
    from matplotlib.figure import Figure

    guesses = chances.argmax(axis=1)
    wrong = np.flatnonzero(guesses != labels)[:18]
    figure = Figure(figsize=(9, 5), layout="constrained")
    figure.suptitle("Taken for another digit: what it is → what the model saw, and how surely")
    for axes, index in zip(figure.subplots(3, 6).flat, [*wrong, *[None] * 18], strict=False):
        axes.axis("off")
        if index is not None:
            axes.imshow(images[index, :, :, 0], cmap="gray_r")
            sure = chances[index].max()
            axes.set_title(f"{labels[index]} → {guesses[index]}, {sure:.0%}", fontsize=9)
    figure.savefig("digits.png", dpi=100)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, test, and return the scores."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--rows", type=int, help="use so many pictures; all by default")
    parser.add_argument("--rate", type=float, help="the highest rate; found by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    arguments = parser.parse_args(argv)
    talweg.utils.set_random_seed(arguments.seed)

    train, validation, test = load(
        arguments.data, arguments.rows, np.random.default_rng(arguments.seed)
    )
    model = build()
    model.compile(Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rate = arguments.rate
    if rate is None:
        rates = np.geomspace(3e-4, 3e-2, 7)
        found = talweg.find_learning_rate(
            model, *train, rates=rates, seeds=1, steps=70, batch_size=BATCH
        )
        print(found)
        rate = found.suggestion
    steps = arguments.epochs * -(-len(train[0]) // BATCH)
    model.optimizer.learning_rate = schedules.OneCycle(rate, steps)
    model.fit(
        *train,
        batch_size=BATCH,
        epochs=arguments.epochs,
        validation_data=validation,
        callbacks=[Alarms(), LambdaCallback(on_epoch_end=show)],
        verbose=0,
    )

    chances = model.predict(test[0], verbose=0)
    draw_mistakes(*test, chances)
    scores = {
        "accuracy": float((chances.argmax(axis=1) == test[1]).mean()),
        "baseline": float((nearest_mean(train, test[0]) == test[1]).mean()),
        "log_loss": float(-np.log(chances[np.arange(len(test[1])), test[1]] + 1e-12).mean()),
    }
    print("digits: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return scores


if __name__ == "__main__":
    main()
