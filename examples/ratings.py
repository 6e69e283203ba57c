"""Ratings: how will a guest like a restaurant that he has not rated?

Data: 1,161 ratings (0, 1, 2) of 130 restaurants by 138 guests, UCI, CC BY 4.0
Model: vectors of 8 for guests and restaurants, their inner product, and biases; functional
Baseline: mean plus the deviations of the guest and of the restaurant, pulled towards 0

Root mean squared errors over five folds that cover all ratings; the lower the better. About
8 ratings per guest and 9 per restaurant are few: biases can be learned from that, tastes
hardly. So the network is to reach the baseline with its biases, and the vectors (`vectors`
says by how much they lower the error of `biases`) are held small by their regularizers.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import talweg
from talweg import layers, regularizers


def load(path: Path, rows: int | None, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of guests, of restaurants, and the ratings, in a random order."""
    if not path.exists():
        raise SystemExit(
            f"ratings: {path.name} is missing; get it from examples/data of talweg's repository "
            f"and put it in {path.parent}"
        )
    with open(path, encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    order = np.random.default_rng(seed).permutation(len(table))[:rows]
    guests, places = (
        np.unique([row[column] for row in table], return_inverse=True)[1].astype("int32")[order]
        for column in ("userID", "placeID")
    )
    return guests, places, np.array([float(row["rating"]) for row in table], "float32")[order]


def build(guests: int, places: int, mean: float, size: int) -> talweg.Model:
    """A guest and a restaurant to a rating; without vectors where `size` is 0."""
    guest, place = (layers.Input((), dtype="int32", name=name) for name in ("guest", "place"))

    def table(count: int, width: int, strength: float) -> layers.Embedding:
        start = "zeros" if width == 1 else talweg.initializers.RandomNormal(stddev=0.1)
        return layers.Embedding(count, width, start, regularizers.L2(strength))

    parts = [table(guests, 1, 3e-3)(guest), table(places, 1, 3e-3)(place)]
    if size:
        ours, theirs = table(guests, size, 1e-2)(guest), table(places, size, 1e-2)(place)
        parts.append(layers.Dot(axes=-1)([ours, theirs]))
    rating = layers.Rescaling(1.0, offset=mean)(layers.Add()(parts))
    return talweg.Model([guest, place], rating)


def by_means(train: tuple, test: tuple, damping: float = 4.0) -> dict[str, np.ndarray]:
    """What the naive ways predict: the mean, that of the restaurant, that of the guest, both."""
    guests, places, ratings = train
    mean = ratings.mean()

    def deviations(index: np.ndarray, left: np.ndarray, pull: float) -> np.ndarray:
        sums, counts = (np.zeros(1000) for _ in range(2))
        np.add.at(sums, index, left)
        np.add.at(counts, index, 1)
        return sums / np.maximum(counts + pull, 1)

    own, theirs = (deviations(index, ratings - mean, 0.0) for index in (guests, places))
    damped = deviations(guests, ratings - mean, damping)
    rest = deviations(places, ratings - mean - damped[guests], damping)
    return {
        "baseline": mean + damped[test[0]] + rest[test[1]],
        "guest_mean": mean + own[test[0]],
        "restaurant_mean": mean + theirs[test[1]],
        "mean": np.full(len(test[0]), mean),
    }


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    options = parser.parse_args(argv)
    talweg.utils.set_random_seed(options.seed)

    columns = load(options.data / "restaurant-ratings.csv", options.rows, options.seed)
    guests, places = (int(column.max()) + 1 for column in columns[:2])
    ratings = columns[2]
    fold = np.arange(len(ratings)) % options.folds
    predicted: dict[str, np.ndarray] = {}
    for k in range(options.folds):
        train = tuple(column[fold != k] for column in columns)
        test = tuple(column[fold == k] for column in columns)
        found = by_means(train, test)
        for name, size in (("rmse", 8), ("biases", 0)):
            model = build(guests, places, float(train[2].mean()), size)
            model.compile(talweg.optimizers.Adam(1e-2), "mse")
            model.fit(list(train[:2]), train[2], batch_size=64, epochs=options.epochs, verbose=0)
            found[name] = model.predict(list(test[:2]), verbose=0)[:, 0]
        for name, values in found.items():
            predicted.setdefault(name, np.zeros(len(ratings)))[fold == k] = values
        errors = {n: np.sqrt(np.mean((v - test[2]) ** 2)) for n, v in found.items()}
        shown = ", ".join(f"{name} {errors[name]:.3f}" for name in ("rmse", "biases", "baseline"))
        print(f"fold {k + 1}: {shown}")

    rmse = {n: float(np.sqrt(np.mean((v - ratings) ** 2))) for n, v in predicted.items()}
    scores = {name: rmse.pop(name) for name in ("rmse", "baseline")} | rmse
    print("ratings: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return scores


if __name__ == "__main__":
    main()
