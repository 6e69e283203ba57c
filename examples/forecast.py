"""Forecast: the next day's cold, the next month's passengers, the next day's share price.

Data: daily lows in Seattle (NOAA), airline passengers by month (MIT), Google's shares (matplotlib)
Model: an LSTM of 32; a temporal convolution of 4 causal layers of 32, dilated 1, 2, 4, 8
Baseline: the last value or that of a season ago, whichever is better; errors are relative to it

Walk-forward: three times, the networks are trained on all that came before a stretch of time and
forecast one step ahead through it. Scores are mean absolute errors over all stretches as
multiples of the naive one's: below 1 is better. Weather and passengers follow seasons, which the
networks find. What is known of a share is in its price: nothing beats the last value but by luck,
and a curve that follows the price one day late is no skill.
With `--data` on a folder that holds their files, also Melbourne's lows and Apple's shares.
"""

import argparse
import csv
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import talweg
from talweg import layers

TESTED = 0.375  # the share of a series that is forecast
NAIVE, NETWORKS = ("last value", "season ago"), ("lstm", "tcn")
# A column of a file; the length of its season and how much the networks see of it, in steps.
Series = namedtuple("Series", "file column unit season seen logs")
SERIES = {
    "weather": Series("seattle-weather.csv", "temp_min", "°C", 365, 28, False),
    "passengers": Series("airline-passengers.csv", "Passengers", "thousands", 12, 13, True),
    "google": Series("goog.npz", "close", "$", 5, 20, True),
    "melbourne": Series("daily-min-temperatures.csv", "Temp", "°C", 365, 28, False),
    "apple": Series("apple-stock.csv", "Close", "$", 5, 20, True),
}


def load(series: Series, folder: Path) -> np.ndarray:
    """The values; matplotlib brings Google's share prices along."""
    if series.file.endswith(".npz"):
        from matplotlib import cbook

        return cbook.get_sample_data(series.file)["price_data"][series.column].astype(float)
    with open(folder / series.file, encoding="utf-8") as file:
        return np.array([float(row[series.column]) for row in csv.DictReader(file)])


def build(kind: str, seen: int) -> talweg.Sequential:
    """The last steps, each with the time of the year, to the next change."""
    causal = {"padding": "causal", "activation": "relu"}
    dilated = [layers.Conv1D(32, 3, dilation_rate=rate, **causal) for rate in (1, 2, 4, 8)]
    last_step = [layers.Cropping1D((seen - 1, 0)), layers.Flatten()]
    body = [layers.LSTM(32)] if kind == "lstm" else [*dilated, *last_step]
    return talweg.Sequential([layers.Input((seen, 3)), *body, layers.Dropout(0.1), layers.Dense(1)])


def forecast(values: np.ndarray, series: Series, epochs: int, folds: int) -> dict[str, np.ndarray]:
    """For the tested part: the truth, and what the last value, the season and the networks say."""
    season, seen = series.season, series.seen
    x = np.log(values) if series.logs else values
    first = len(x) - folds * (int(TESTED * len(x)) // folds)
    if first <= max(season, 2 * seen):
        raise SystemExit(f"forecast: {len(x)} rows of {series.file} are too few; give more")
    rows = np.arange(seen, len(x))  # the steps that have enough before them
    window = rows[:, None] - np.arange(seen, 0, -1)
    phase = 2 * np.pi * window / season
    parts: dict[str, list[np.ndarray]] = {kind: [] for kind in NETWORKS}
    for stretch in np.split(np.arange(first, len(x)), folds):
        train, test = rows < stretch[0], np.isin(rows, stretch)
        scale = np.diff(x[: stretch[0]]).std()
        since = (x[window] - x[window[:, -1:]]) / scale
        inputs = np.stack([since, np.sin(phase), np.cos(phase)], axis=-1).astype("float32")
        targets = ((x[rows] - x[rows - 1]) / scale).astype("float32")
        for kind, said in parts.items():
            model = build(kind, seen)
            model.compile(talweg.optimizers.Adam(3e-3), "mae")
            stop = talweg.callbacks.EarlyStopping(patience=15, restore_best_weights=True)
            known = inputs[train], targets[train]
            model.fit(*known, epochs=epochs, verbose=0, validation_split=0.15, callbacks=[stop])
            said.append(x[stretch - 1] + model.predict(inputs[test], verbose=0)[:, 0] * scale)
    tested = np.arange(first, len(x))
    results = {"truth": x[tested], "last value": x[tested - 1], "season ago": x[tested - season]}
    results |= {kind: np.concatenate(said) for kind, said in parts.items()}
    return {k: np.exp(v) if series.logs else v for k, v in results.items()}


def verdict(errors: np.ndarray, naive: np.ndarray) -> str:
    """Whether errors differ from the naive ones by more than twice the standard error."""
    gain = naive - errors
    size = gain.mean() / (gain.std() / np.sqrt(len(gain)) + 1e-12)
    return "better" if size > 2 else "worse" if size < -2 else "no difference that counts"


def draw(drawn: dict[str, dict[str, np.ndarray]]) -> None:
    """The last 100 steps of each series and their forecasts, as forecast.png."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.8 * len(drawn)), layout="constrained")
    colours = {"truth": "black", "last value": "#bbbbbb", "lstm": "#d95f02", "tcn": "#1b7fbd"}
    for i, (name, said) in enumerate(drawn.items(), 1):
        axes = figure.add_subplot(len(drawn), 1, i)
        for line, colour in colours.items():
            axes.plot(said[line][-100:], color=colour, linewidth=1.3, label=line)
        steps = "months" if SERIES[name].season == 12 else "days"
        axes.set(title=name, ylabel=SERIES[name].unit, xlabel=steps)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(ncols=4, frameon=False, fontsize=8)
    figure.savefig("forecast.png")


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    parser.add_argument("--epochs", type=int, default=150, help="at most")
    parser.add_argument("--folds", type=int, default=3, help="stretches of time")
    parser.add_argument("--rows", type=int, default=0, help="only the last steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    options = parser.parse_args(argv)
    talweg.utils.set_random_seed(options.seed)

    scores, drawn = {}, {}
    for name in options.series:
        try:
            values = load(SERIES[name], options.data)[-options.rows :]
        except FileNotFoundError as error:
            print(f"{name}: skipped, {Path(error.filename).name} is not in the data folder")
            continue
            continue
        said = drawn[name] = forecast(values, SERIES[name], options.epochs, options.folds)
        errors = {line: abs(part - said["truth"]) for line, part in said.items()}
        naive = min((errors[line] for line in NAIVE), key=np.mean)
        print(f"{name}: {len(naive)} forecasts, mean absolute error in {SERIES[name].unit}")
        print("  " + ", ".join(f"{line} {errors[line].mean():.3f}" for line in NAIVE))
        for kind in NETWORKS:
            print(f"  {kind} {errors[kind].mean():.3f}: {verdict(errors[kind], naive)}")
            scores[f"{name}_{kind}"] = float(errors[kind].mean() / naive.mean())
            scores.setdefault("baseline", 1.0)
    if not scores:
        raise SystemExit(f"forecast: none of the files is in {options.data}")
    draw(drawn)
    print("forecast: " + ", ".join(f"{name} {value:.4g}" for name, value in scores.items()))
    return scores


if __name__ == "__main__":
    main()
