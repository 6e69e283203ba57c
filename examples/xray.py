"""Chest X-rays: does a child have pneumonia, and how sure may one be?

Data: PneumoniaMNIST, 3,166 pictures of 28 × 28 points, half of them with pneumonia, CC BY 4.0
Model: three convolutions with pooling; pictures turned and moved; temperature scaling
Baseline: logistic regression on the points

The rarer class weighs more in training, as much as makes both count the same. This shifts the
log-odds by the log of the ratio of the classes, which is taken off again, so that what is said is
a chance where pneumonia is as frequent as in training; `--share 0.1` leaves out pictures until a
tenth shows it. The temperature (Guo et al., 2017, arXiv:1706.04599) and the threshold, which finds
95 % of the ill, come from the validation set; it is more like the training set than the test set
is, so the test shows how far they carry (`ece` is the error of the chances said). No diagnosis!
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import talweg
from talweg import layers
from talweg.callbacks import Alarms, LambdaCallback
from talweg.losses import BinaryCrossentropy
from talweg.optimizers import AdamW, schedules

BATCH, BINS = 32, 10


def load(folder: Path, rows: int | None, share: float | None, seed: int) -> list[tuple]:
    """Pictures in [0, 1] and labels (1 is pneumonia): for training, validation and test."""
    path = folder / "pneumoniamnist.npz"
    if not path.exists():
        raise SystemExit(f"xray: {path} is missing; get it from https://medmnist.com")
    rng, parts = np.random.default_rng(seed), []
    with np.load(path) as stored:
        for part in ("train", "val", "test"):
            labels = stored[f"{part}_labels"][:, 0]
            kept = rng.permutation(len(labels))[:rows]
            if share is not None and part != "test":
                well, ill = (kept[labels[kept] == c] for c in (0, 1))
                kept = np.concatenate([ill[: round(len(well) * share / (1 - share))], well])
            images = stored[f"{part}_images"][kept, :, :, None]
            parts.append((images / np.float32(255), labels[kept].astype("float32")))
    return parts


def convolutions() -> list[layers.Layer]:
    """The hidden layers; the first two act in training only."""
    hidden = [layers.RandomTranslation(0.08, 0.08), layers.RandomRotation(0.03)]
    for filters in (32, 64, 64):
        hidden += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    return [*hidden, layers.Flatten(), layers.Dropout(0.4)]


def show(epoch: int, logs: dict) -> None:
    """One line for an epoch."""
    shown = ("loss", "val_loss", "val_auc", "learning_rate")
    print(f"epoch {epoch + 1}: " + ", ".join(f"{name} {logs[name]:.4g}" for name in shown))


def learn(hidden: list, train: tuple, validation: tuple, epochs: int, rate: float) -> Callable:
    """From pictures to log-odds, where pneumonia is as frequent as in training."""
    model = talweg.Sequential([layers.Input((28, 28, 1)), *hidden, layers.Dense(1)])
    schedule = schedules.OneCycle(rate, epochs * -(-len(train[1]) // BATCH))
    auc = talweg.metrics.AUC(from_logits=True, name="auc")
    model.compile(AdamW(schedule), BinaryCrossentropy(from_logits=True), metrics=[auc])
    ill = float(train[1].mean())
    model.fit(
        *train, batch_size=BATCH, epochs=epochs, validation_data=validation, verbose=0,
        class_weight={0: 0.5 / (1 - ill), 1: 0.5 / ill},
        callbacks=[Alarms(), LambdaCallback(on_epoch_end=show)],
    )  # fmt: skip
    shift = np.log(ill / (1 - ill))
    return lambda images: model.predict(images, verbose=0)[:, 0].astype("float64") + shift


def area(logits: np.ndarray, labels: np.ndarray) -> float:
    """The area under the curve: how often an ill one's log-odds are above a healthy one's."""
    ill, well = logits[labels == 1], np.sort(logits[labels == 0])
    below = [np.searchsorted(well, ill, side).mean() for side in ("left", "right")]
    return float(np.mean(below)) / len(well)


def reliability(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Bins of equally many pictures, each (mean chance said, share ill); their mean distance."""
    chances = 1 / (1 + np.exp(-logits))
    bins = np.array_split(np.argsort(chances), BINS)
    points = np.array([(chances[part].mean(), labels[part].mean()) for part in bins])
    return points, float(np.average(abs(points @ [1, -1]), weights=[len(part) for part in bins]))


def draw(test: tuple, checked: tuple, cut: float) -> None:
    """Write xray.png: sensitivity against specificity, and what chances said were worth."""
    from matplotlib.figure import Figure

    logits, labels = test
    left, right = (figure := Figure(figsize=(9, 4.2), layout="constrained")).subplots(1, 2)
    cuts = [np.inf, *np.sort(logits)[::-1], cut]
    false, true = ([(logits[labels == c] >= at).mean() for at in cuts] for c in (0, 1))
    left.plot(false[:-1], true[:-1], label=f"area {area(logits, labels):.3f}")
    left.plot(false[-1], true[-1], "o", label="threshold chosen on validation")
    left.set(xlabel="healthy called ill (1 - specificity)", ylabel="ill found (sensitivity)")
    for name, (said, ill) in (("validation", checked), ("test", test)):
        points, error = reliability(said, ill)
        spread = np.sqrt(points[:, 1] * (1 - points[:, 1]) * BINS / len(ill))
        right.errorbar(*points.T, spread, fmt="o-", capsize=2, label=f"{name}, error {error:.3f}")
    right.set(xlabel="chance of pneumonia that was said", ylabel="share that has it")
    for axes in (left, right):
        axes.plot([0, 1], [0, 1], ":", color="grey", zorder=0)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig("xray.png", dpi=110)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, calibrate, test, draw, and return the scores."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rows", type=int, help="pictures of each part; all by default")
    parser.add_argument("--share", type=float, help="share of pneumonia in training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    given = parser.parse_args(argv)
    talweg.utils.set_random_seed(given.seed)

    train, checked, (images, labels) = load(given.data, given.rows, given.share, given.seed)
    logistic = learn([layers.Flatten()], train, checked, given.epochs, 1e-2)(images)
    answer = learn(convolutions(), train, checked, given.epochs, 2e-3)
    logits, known = answer(images), answer(checked[0])
    grid, against = np.geomspace(0.1, 10, 401), np.where(checked[1] == 1, -known, known)
    temperature = float(grid[np.logaddexp(0, against / grid[:, None]).mean(axis=1).argmin()])
    cut = float(np.quantile(known[checked[1] == 1], 0.05))
    draw((logits / temperature, labels), (known / temperature, checked[1]), cut / temperature)
    scores = {
        "auc": area(logits, labels),
        "baseline": area(logistic, labels),
        "validation_auc": area(known, checked[1]),
        "sensitivity": float((logits[labels == 1] >= cut).mean()),
        "specificity": float((logits[labels == 0] < cut).mean()),
        "temperature": temperature,
        "ece": reliability(logits / temperature, labels)[1],
        "ece_as_trained": reliability(logits, labels)[1],
    }
    print("xray: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return scores


if __name__ == "__main__":
    main()
