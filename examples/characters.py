"""Characters: a small transformer learns to write like Shakespeare, letter by letter.

Data: 1,115,394 characters of Shakespeare's plays ("tiny Shakespeare"), public domain
Model: decoder of 3 blocks, 4 heads, 96 wide, 64 characters of context; AdamW, cosine with warm-up
Baseline: the frequencies of pairs of characters

The score is bits per character on the last tenth of the text, which is not trained on: the
lower the better; `single` is what the frequencies of single characters reach. The rate
climbs for a tenth of the steps and then falls along a cosine; biases, the scales of the
normalization and the embeddings are spared from weight decay. In the end it writes.
"""

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

import talweg
from talweg import layers

CONTEXT, WIDTH, HEADS, BATCH = 64, 96, 4, 32


class Positions(layers.Layer):
    """Adds a learned vector for each place of the context."""

    def build(self, input_shape: Sequence[int]) -> None:
        self.places = self.add_weight(
            shape=tuple(input_shape[1:]), initializer="uniform", name="embeddings"
        )

    def call(self, x: jax.Array) -> jax.Array:
        return x + self.places


def build(characters: int, blocks: int) -> talweg.Model:
    """Characters to the logits of the character after each."""
    inputs = layers.Input((CONTEXT,), dtype="int32")
    x = Positions()(layers.Embedding(characters, WIDTH)(inputs))
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y, use_causal_mask=True)
        x = x + layers.Dropout(0.1)(y)
        y = layers.LayerNormalization()(x)
        y = layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(y))
        x = x + layers.Dropout(0.1)(y)
    return talweg.Model(inputs, layers.Dense(characters)(layers.LayerNormalization()(x)))


def counted(train: np.ndarray, test: np.ndarray, characters: int) -> tuple[float, float]:
    """Bits per character by the frequencies of single characters, and of pairs."""
    singles = np.bincount(train, minlength=characters) + 1.0
    pairs = np.full((characters, characters), 0.1)
    np.add.at(pairs, (train[:-1], train[1:]), 1.0)
    after = (pairs / pairs.sum(axis=1, keepdims=True))[test[:-1], test[1:]]
    return float(-np.log2((singles / singles.sum())[test]).mean()), float(-np.log2(after).mean())


def windows(text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The text cut into contexts, and the characters that come after each of theirs."""
    count = (len(text) - 1) // CONTEXT
    x = text[: count * CONTEXT].reshape(count, CONTEXT)
    return x, text[1 : count * CONTEXT + 1].reshape(count, CONTEXT)


def write(model: talweg.Model, start: np.ndarray, length: int, seed: int) -> np.ndarray:
    """Let the model go on after `start`, each character drawn from what it says."""
    params = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]

    @jax.jit
    def following(text: jax.Array, place: jax.Array, key: jax.Array) -> jax.Array:
        logits, _ = model.stateless_call(params, fixed, text[None], training=False)
        return jax.random.categorical(key, logits[0, place] / 0.8)

    text = list(start)
    for key in jax.random.split(jax.random.key(seed), length):
        seen = text[-CONTEXT:]
        padded = np.array(seen + [0] * (CONTEXT - len(seen)), "int32")
        text.append(int(following(padded, len(seen) - 1, key)))
    return np.array(text)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--blocks", type=int, default=3, help="of attention and dense layers")
    parser.add_argument("--rows", type=int, help="contexts to train on")
    parser.add_argument("--write", type=int, default=400, help="characters to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    options = parser.parse_args(argv)
    path = options.data / "tinyshakespeare.txt.gz"
    if not path.exists():
        raise SystemExit(
            f"characters: {path.name} is missing; get it from examples/data of talweg's repository "
            f"and put it in {path.parent}"
        )
    talweg.utils.set_random_seed(options.seed)

    with gzip.open(path, "rt", encoding="utf-8") as file:
        alphabet, text = np.unique(list(file.read()), return_inverse=True)
    text = text.astype("int32")
    cut = int(0.9 * len(text))
    if options.rows:
        cut = min(cut, options.rows * CONTEXT + 1)
    held_out = text[int(0.9 * len(text)) :][: len(text) // 10 if not options.rows else cut]
    (x, y), (x_test, y_test) = windows(text[:cut]), windows(held_out)

    model = build(len(alphabet), options.blocks)
    steps = options.epochs * -(-len(x) // BATCH)
    rate = talweg.optimizers.schedules.CosineDecay(
        0.0, decay_steps=0.9 * steps, warmup_target=3e-3, warmup_steps=0.1 * steps
    )
    optimizer = talweg.optimizers.AdamW(rate, weight_decay=0.05, beta_2=0.99, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embeddings"])
    loss = talweg.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    model.fit(x, y, batch_size=BATCH, epochs=options.epochs, verbose=2)

    nats = model.evaluate(x_test, y_test, batch_size=256, verbose=0)
    start = np.searchsorted(alphabet, list("ROMEO:\n"))
    print("".join(alphabet[write(model, start, options.write, options.seed)]))
    single, pair = counted(text[:cut], held_out, len(alphabet))
    scores = {"bits_per_character": nats / float(np.log(2)), "baseline": pair, "single": single}
    print("characters: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return scores


if __name__ == "__main__":
    main()
