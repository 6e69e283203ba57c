"""Spoken digits: which of ten words does a recording say, in a voice never heard before?

Data: Free Spoken Digit Dataset, 1,200 recordings of 6 speakers at 8 kHz, CC BY-SA 4.0
Model: mel spectrogram, three convolutions with batch normalization over time and pitch
Baseline: the nearest of the ten mean spectrograms, for the same speakers

With a random split, the test asks for words of voices that were learned, which is the easier
task, and the one whose accuracy is often quoted: `heard`. `accuracy` leaves each speaker out in
turn, trains with the other five, and tests with the one: what a stranger may expect. Every choice
was made with four of the speakers, without theo and yweweler; `set_aside` is the mean of these.
"""

import argparse
import tarfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import talweg
from talweg import layers
from talweg.optimizers import AdamW, schedules

RATE, BATCH = 8000, 25
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SET_ASIDE = SPEAKERS[4:]


def load(folder: Path, takes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A second of sound each, of equal loudness, (n, 8000); the digits; the speakers."""
    path = folder / "spoken-digits.tar.xz"
    if not path.exists():
        raise SystemExit(
            f"speech: {path} is missing; get the recordings digit_speaker_take.wav from "
            "https://github.com/Jakobovski/free-spoken-digit-dataset and pack them there"
        )
    sounds, digits, speakers = [], [], []
    with tarfile.open(path) as archive:
        for member in archive:
            digit, speaker, take = member.name.removesuffix(".wav").split("_")
            if int(take) >= takes:
                continue
            with wave.open(archive.extractfile(member)) as file:
                samples = np.frombuffer(file.readframes(RATE), "<i2").astype("float32")
            samples /= np.sqrt(np.mean(samples**2)) + 1e-6
            sounds.append(np.pad(samples, (0, RATE - len(samples))))
            digits.append(int(digit))
            speakers.append(speaker)
    return np.stack(sounds), np.array(digits, "int32"), np.array(speakers)


def spectrogram() -> layers.Layer:
    """Decibels in 32 bands and 51 frames. Their floor is 0, which hides noise; one by
    `top_db` would hang on the loudest of the batch, so that neighbours would matter."""
    return layers.MelSpectrogram(
        fft_length=256, sequence_stride=160, sampling_rate=RATE, num_mel_bins=32, min_freq=60,
        min_power=1.0, top_db=200,
    )  # fmt: skip


def build() -> talweg.Model:
    """From samples to digits. A spectrogram moved along its bands is a voice of another pitch."""
    hidden = []
    for filters in (16, 32, 64):
        hidden.append(layers.Conv2D(filters, 3, padding="same", use_bias=False))
        hidden += [layers.BatchNormalization(momentum=0.9), layers.ReLU(), layers.MaxPooling2D()]
    return talweg.Sequential(
        [
            layers.Input((RATE,)),
            spectrogram(),
            layers.Reshape((32, -1, 1)),
            layers.BatchNormalization(),
            layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
            *hidden,
            layers.MaxPooling2D((1, 6)),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )


def nearest_mean(train: tuple, sounds: np.ndarray) -> np.ndarray:
    """The digit whose mean spectrogram is nearest."""
    seen, asked = (np.asarray(spectrogram()(x)) for x in (train[0], sounds))
    means = np.stack([seen[train[1] == digit].mean(axis=0) for digit in range(10)])
    return ((asked[:, None] - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)


class Trial:
    """Trains from the same start again and again, and compiles once."""

    def __init__(self, epochs: int, rows: int, seed: int):
        self.epochs, self.seed = epochs, seed
        talweg.utils.set_random_seed(seed)
        self.model = build()
        schedule = schedules.OneCycle(4e-3, epochs * -(-rows // BATCH))
        optimizer = AdamW(schedule, weight_decay=0.02)
        self.model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        optimizer.build(self.model.trainable_variables)
        self.variables = [*self.model.variables, *optimizer.variables]
        self.start = [np.array(variable) for variable in self.variables]

    def __call__(self, name: str, sounds: np.ndarray, digits: np.ndarray, asked: np.ndarray):
        """Train with what is not asked; the accuracies of the model and the baseline on that."""
        talweg.utils.set_random_seed(self.seed)
        for variable, value in zip(self.variables, self.start, strict=True):
            variable.assign(value)
        train, test = (sounds[~asked], digits[~asked]), (sounds[asked], digits[asked])
        history = self.model.fit(*train, batch_size=BATCH, epochs=self.epochs, verbose=0)
        guesses = self.model.predict(test[0], verbose=0).argmax(axis=1)
        found = (guesses == test[1]).mean(), (nearest_mean(train, test[0]) == test[1]).mean()
        learned = history.history["accuracy"][-1]
        print(f"{name}: {found[0]:.3f} (training {learned:.3f}, baseline {found[1]:.3f})")
        return found


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train and test by speaker and by a random split; return the scores."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rows", type=int, default=1200, help="recordings; a multiple of 60")
    parser.add_argument("--speakers", nargs="+", default=SPEAKERS, help="whom to leave out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    given = parser.parse_args(argv)

    sounds, digits, speakers = load(given.data, max(given.rows // 60, 1))
    test = np.random.default_rng(given.seed).permutation(len(digits)) < len(digits) // 6
    trial = Trial(given.epochs, len(digits) - test.sum(), given.seed)
    by_speaker = {name: trial(name, sounds, digits, speakers == name) for name in given.speakers}
    heard, _ = trial("random split", sounds, digits, test)
    accuracy, baseline = np.mean(list(by_speaker.values()), axis=0)
    scores = {
        "accuracy": float(accuracy),
        "baseline": float(baseline),
        "worst_speaker": float(min(by_speaker.values())[0]),
        "heard": float(heard),
    }
    if by_speaker.keys() >= set(SET_ASIDE):
        scores["set_aside"] = float(np.mean([by_speaker[name][0] for name in SET_ASIDE]))
    print("speech: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return scores


if __name__ == "__main__":
    main()
