"""Sentiment: is a sentence about a film praise or blame?

Data: 10,072 sentences on films, rated by 20 people each (vaderSentiment 2.5), MIT
Model: word vectors, a bidirectional GRU and the mean of its states; five of them, averaged
Baseline: logistic regression over the words and pairs of words (scikit-learn)

A sentence counts as praise when its mean rating is above 0; those within 0.5 of 0 are left
out, since the raters did not agree. With so few sentences, knowing which words occur is
nearly all that can be learned: a network that reads their order is ahead by little or not at
all, and a percent of accuracy is one standard error. `single` is the mean accuracy of the
networks one by one, `majority` that of always giving the more frequent answer.
"""

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import talweg
from talweg import layers

WORDS, LENGTH = 10_000, 40


def load(path: Path, rows: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sentences in a random order, and 1 for praise, 0 for blame."""
    if not path.exists():
        raise SystemExit(
            f"sentiment: {path.name} is missing; get it from examples/data of talweg's repository "
            f"and put it in {path.parent}"
        )
    with gzip.open(path, "rt", encoding="utf-8") as file:
        next(file)
        pairs = [line.rstrip("\n").split("\t") for line in file]
    ratings = np.array([float(rating) for rating, _ in pairs])
    sentences = np.array([sentence for _, sentence in pairs], dtype=object)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(abs(ratings) >= 0.5))[:rows]
    return sentences[order], (ratings[order] > 0).astype("float32")


def build(words: int) -> talweg.Model:
    """Indices of words to the probability of praise."""
    inputs = layers.Input((LENGTH,), dtype="int32")
    x = layers.Embedding(words, 64, mask_zero=True)(inputs)
    x = layers.SpatialDropout1D(0.5)(x)
    x = layers.Bidirectional(layers.GRU(32, return_sequences=True))(x)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling1D()(x))  # over the words, not the padding
    return talweg.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def bag_of_words(train: tuple, validation: tuple, test: tuple) -> float:
    """The accuracy of logistic regression; its strength is chosen on the validation part."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        raise SystemExit('sentiment: sklearn is missing; pip install "talweg[data]"') from None
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(train[0])
    parts = [(vectorizer.transform(texts), y) for texts, y in (train, validation, test)]
    models = [LogisticRegression(C=c, max_iter=500).fit(*parts[0]) for c in (0.3, 1, 3, 10)]
    return max(models, key=lambda model: model.score(*parts[1])).score(*parts[2])


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=12, help="at most")
    parser.add_argument("--members", type=int, default=5, help="networks to average")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    options = parser.parse_args(argv)
    talweg.utils.set_random_seed(options.seed)

    sentences, praise = load(options.data / "movie-sentences.tsv.gz", options.rows, options.seed)
    cuts = [int(0.7 * len(praise)), int(0.85 * len(praise))]
    texts = np.split(sentences, cuts)
    y_train, y_validation, y_test = np.split(praise, cuts)

    vectorize = layers.TextVectorization(max_tokens=WORDS, output_sequence_length=LENGTH)
    vectorize.adapt(texts[0])
    x_train, x_validation, x_test = (np.asarray(vectorize(part)) for part in texts)

    labelled = zip(texts, (y_train, y_validation, y_test), strict=True)
    baseline, predictions = bag_of_words(*labelled), []
    for member in range(options.members):
        model = build(vectorize.vocabulary_size())
        model.compile(talweg.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
        stop = talweg.callbacks.EarlyStopping("val_accuracy", patience=3, restore_best_weights=True)
        history = model.fit(
            x_train, y_train, batch_size=64, epochs=options.epochs, verbose=0,
            validation_data=(x_validation, y_validation), callbacks=[stop],
        ).history  # fmt: skip
        predictions.append(model.predict(x_test, batch_size=256, verbose=0)[:, 0])
        reached = max(history["val_accuracy"])
        print(f"network {member + 1}: {len(history['loss'])} epochs, validation {reached:.3f}")
    probability = np.mean(predictions, axis=0)

    right = (probability > 0.5) == (y_test > 0.5)
    order = np.argsort(probability)
    for i in (order[-1], order[0], order[len(order) // 2]):
        print(f"{probability[i]:.2f}  {sentences[cuts[1] + i][:72]}")
    scores = {
        "accuracy": float(right.mean()),
        "baseline": baseline,
        "single": float(np.mean([((p > 0.5) == (y_test > 0.5)).mean() for p in predictions])),
        "majority": float(max(y_test.mean(), 1 - y_test.mean())),
    }
    print("sentiment: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return scores


if __name__ == "__main__":
    main()
