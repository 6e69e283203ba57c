"""What a comparison found: trials, a table, pictures, a report, the best model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from talweg.core import errors
from talweg.optimizers import Optimizer
from talweg.search import statistics

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from talweg.models import Model


@dataclass(frozen=True)
class Trial:
    """One training: a configuration on one fold with one seed.

    Attributes:
        optimizer: its label.
        learning_rate: the rate (under a schedule: its multiplier).
        fold, seed: which.
        random_seed: `utils.set_random_seed(random_seed)` before `build()` and `fit` on the
            fold's training rows gives this training again.
        score: the monitor after the last epoch; NaN if it diverged.
        diverged: whether its loss became NaN or infinite.
        curves: the logs by name, a number per epoch.
        seconds: its share of the time.
    """

    optimizer: str
    learning_rate: float
    fold: int
    seed: int
    random_seed: int
    score: float
    diverged: bool
    curves: Mapping[str, np.ndarray]
    seconds: float


class Best(NamedTuple):
    """The configuration with the best mean score."""

    optimizer: str
    learning_rate: float
    mean: float
    standard_error: float


@dataclass(frozen=True)
class Recipe:
    """How to make and train a model of the comparison again."""

    build: Callable[[], "Model"]
    optimizers: Mapping[str, Optimizer]
    loss: Any
    metrics: Any
    transform: Callable[[], Any] | None
    target_transform: Callable[[], Any] | None


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    Attributes:
        trials: every training.
        monitor: what was compared.
        higher_is_better: its direction.
        test_fraction: the share of the rows that a fold is validated on.
        setup: rows, folds, seeds, epochs, batch size, seed.
    """

    trials: tuple[Trial, ...]
    monitor: str
    higher_is_better: bool
    test_fraction: float
    setup: Mapping[str, Any]
    recipe: Recipe

    @cached_property
    def configurations(self) -> dict[tuple[str, float], list[Trial]]:
        """Trials by (optimizer, learning rate)."""
        groups: dict[tuple[str, float], list[Trial]] = {}
        for trial in self.trials:
            groups.setdefault((trial.optimizer, trial.learning_rate), []).append(trial)
        return groups

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """A dict per configuration, best first, with the columns of `to_frame`."""
        groups = self.configurations
        scores = np.array([[trial.score for trial in trials] for trials in groups.values()])
        summaries = [statistics.summarize(row) for row in scores]
        means = [summary.mean for summary in summaries]
        ranks = statistics.rank(means, higher_is_better=self.higher_is_better)
        ties = statistics.ties(scores, self.test_fraction, higher_is_better=self.higher_is_better)
        rows = [
            {
                "optimizer": optimizer,
                "learning_rate": rate,
                "mean": summary.mean,
                "standard_error": summary.standard_error,
                "rank": int(place),
                "tie": bool(tie),
                "p_value": float(p),
                "best_epoch": self._best_epoch(trials),
                "diverged": sum(trial.diverged for trial in trials),
                "members": len(trials),
                "seconds": sum(trial.seconds for trial in trials),
            }
            for ((optimizer, rate), trials), summary, place, tie, p in zip(
                groups.items(), summaries, ranks, ties.tie, ties.p_value, strict=True
            )
        ]
        return sorted(rows, key=lambda row: row["rank"])

    def _best_epoch(self, trials: list[Trial]) -> float:
        if any(trial.diverged for trial in trials):
            return float("nan")
        mean = np.mean([trial.curves[self.monitor] for trial in trials], axis=0)
        return float(1 + (np.argmax(mean) if self.higher_is_better else np.argmin(mean)))

    @property
    def best(self) -> Best:
        """The configuration with the best mean.

        Raises:
            ValueError: every configuration diverged.
        """
        row = self.rows[0]
        if not np.isfinite(row["mean"]):
            raise ValueError("Every configuration diverged. Try smaller learning rates.")
        return Best(*(row[name] for name in Best._fields))

    def to_frame(self) -> "pd.DataFrame":
        """A row per configuration, best first.

        Columns: optimizer, learning_rate, mean, standard_error, rank, tie (cannot be told
        from the best), p_value (of the paired test against the best, adjusted for their number),
        best_epoch, diverged (of how many members), members, seconds.
        """
        pandas = errors.extra("pandas", "data", "Comparison.to_frame")
        return pandas.DataFrame(self.rows)

    def curves(self) -> dict[tuple[str, float], dict[str, np.ndarray]]:
        """For each configuration its logs by name, arrays (members, epochs); NaN once diverged."""
        epochs = int(self.setup["epochs"])

        def padded(values: np.ndarray) -> np.ndarray:
            return np.concatenate([values, np.full(epochs - len(values), np.nan)])

        return {
            key: {
                name: np.stack([padded(trial.curves[name]) for trial in trials])
                for name in trials[0].curves
            }
            for key, trials in self.configurations.items()
        }

    def plot(self) -> "Figure":
        """Score against rate, a line per optimizer with its spread; and learning curves."""
        from talweg.search.plot import plot_comparison

        return plot_comparison(self.to_frame(), self.curves(), self.monitor)

    def advice(self) -> str:
        """Which to take, how sure that is, and what to try next, in sentences."""
        from talweg.search.leaderboard import advice

        return advice(self.to_frame(), self.monitor, self.higher_is_better)

    def report(self, path: str | Path, title: str = "Comparison", notes: Any = ()) -> Path:
        """Write one HTML file with the table, the pictures and the advice in it."""
        from talweg.search.report import write_html

        write_html(
            path,
            self.to_frame(),
            {"Scores and learning curves": self.plot()},
            title,
            self.advice(),
            notes=notes,
            setup={name: str(value) for name, value in self.setup.items()},
        )
        return Path(path)

    def fit_best(self, x: Any, y: Any, **fit_arguments: Any) -> "Model":
        """Train the best configuration on all rows; returns the model.

        Args:
            x, y: the data, as `compare` was given it.
            fit_arguments: what `fit` takes beside; epochs and batch size are those of the
                comparison unless given.
        """
        model = self.recipe.build()
        source = self.recipe.optimizers[self.best.optimizer]
        optimizer = type(source).from_config(source.get_config())
        setattr(optimizer, optimizer.free_rate, self.best.learning_rate)
        model.compile(optimizer, loss=fresh(self.recipe.loss), metrics=fresh(self.recipe.metrics))
        if self.recipe.transform is not None:
            x = self.recipe.transform().fit(x).transform(x)
        if self.recipe.target_transform is not None:
            y = np.asarray(y).reshape(len(y), -1)
            y = self.recipe.target_transform().fit(y).transform(y)
        defaults = {"epochs": self.setup["epochs"], "batch_size": self.setup["batch_size"]}
        model.fit(x, y, **{**defaults, "verbose": 0, **fit_arguments})
        return model

    def __repr__(self) -> str:
        count = len(self.configurations)
        return f"<Comparison of {count} configurations, {len(self.trials)} trainings>"


def fresh(given: Any) -> Any:
    """Objects that keep state (metrics), made anew from their configs."""
    if isinstance(given, list):
        return [fresh(item) for item in given]
    if isinstance(given, dict):
        return {key: fresh(item) for key, item in given.items()}
    if hasattr(given, "get_config") and hasattr(type(given), "from_config"):
        return type(given).from_config(given.get_config())
    return given


__all__ = ["Best", "Comparison", "Recipe", "Trial"]
