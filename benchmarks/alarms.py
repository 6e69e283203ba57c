"""What `callbacks.Alarms` and `RollBackOnDivergence` cost: `python -m benchmarks.alarms`.

Fits with and without them in turn, A B B A …; ratios of the seconds within a pair, and
their median and quartiles, by the wall and by the processor time of this process. The same
model and the same callback go on from fit to fit, so that nothing is compiled in what is
measured; they are longer than a second, when the probes begin. `nothing` is the fit without
callbacks against itself: the noise, which on a shared machine is more than what is looked
for. So the `share` is what is judged: the seconds spent in the callbacks, the probe and the
events, over those of the fit.
"""

import argparse
import contextlib
import time
from collections.abc import Callable, Generator
from statistics import median
from typing import Any

from benchmarks.workloads import WORKLOADS

# At most this share of the time, median over the fits.
AT_MOST = 0.02


def _watchers(talweg: Any) -> dict[str, Callable[[], list[Any]]]:
    callbacks = talweg.callbacks
    return {
        "nothing": list,
        "Alarms": lambda: [callbacks.Alarms(verbose=0)],
        "RollBackOnDivergence": lambda: [callbacks.RollBackOnDivergence(verbose=0)],
    }


@contextlib.contextmanager
def _clocked(talweg: Any) -> Generator[list[float]]:
    """While the seconds in the hooks of the callbacks, the probe and the events are summed."""
    from talweg.training.loop import Teller

    spent = [0.0]
    before: list[tuple[Any, str, Any]] = []

    def clock(owner: Any, name: str) -> None:
        method = getattr(owner, name)

        def clocked(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                spent[0] += time.perf_counter() - begun

        before.append((owner, name, vars(owner).get(name)))
        setattr(owner, name, clocked)

    for name in ("__init__", "block", "changes"):
        clock(Teller, name)
    for owner in (talweg.callbacks.Alarms, talweg.callbacks.RollBackOnDivergence):
        for name in ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"):
            clock(owner, name)
    try:
        yield spent
    finally:
        for owner, name, method in before:
            delattr(owner, name) if method is None else setattr(owner, name, method)


def ratios(
    name: str, optimizer: str, seconds: float, repeats: int
) -> dict[str, list[tuple[float, float, float]]]:
    """Time with each watcher over that without, by wall and processor, and the share.

    Args:
        name: a workload of `benchmarks.workloads`.
        optimizer: its optimizer; only with "sgd" the rate is judged, too.
        seconds: about how long a fit takes.
        repeats: how many pairs.
    """
    import talweg

    workload = WORKLOADS[name]
    x, y = workload.data(workload.rows)
    model = workload.model(talweg)
    model.compile(optimizer, workload.loss, metrics=list(workload.metrics))
    watching = {key: make() for key, make in _watchers(talweg).items()}

    def fit(epochs: int, *callbacks: Any) -> tuple[float, float]:
        begun = time.perf_counter(), time.process_time()
        model.fit(
            x, y, batch_size=workload.batch_size, epochs=epochs, verbose=0,
            callbacks=list(callbacks),
        )  # fmt: skip
        return time.perf_counter() - begun[0], time.process_time() - begun[1]

    fit(1)
    epochs = max(1, round(seconds / fit(1)[0]))
    epochs = max(1, round(seconds * epochs / fit(epochs)[0]))
    for callbacks in watching.values():
        fit(epochs, *callbacks)
    found: dict[str, list[tuple[float, float, float]]] = {key: [] for key in watching}
    for repeat in range(repeats):
        for key, callbacks in watching.items():
            without = fit(epochs) if repeat % 2 else None
            with _clocked(talweg) as spent:
                wall, work = fit(epochs, *callbacks)
            without = without or fit(epochs)
            found[key].append((wall / without[0], work / without[1], spent[0] / wall))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--workloads", nargs="*", default=["small", "dense"])
    parser.add_argument("--optimizers", nargs="*", default=["sgd", "adam"])
    options = parser.parse_args()
    for name in options.workloads:
        for optimizer in options.optimizers:
            found = ratios(name, optimizer, options.seconds, options.repeats)
            for key, values in found.items():
                wall, work, share = (sorted(each) for each in zip(*values, strict=True))
                met = "met" if median(share) <= AT_MOST else "not met"
                print(
                    f"{name:6} {optimizer:5} {key:21} wall {_spread(wall)}  processor "
                    f"{_spread(work)}  share {_spread(share)}, at most {AT_MOST}: {met}",
                    flush=True,
                )


def _spread(values: list[float]) -> str:
    """Median and quartiles of sorted values."""
    quarter = len(values) // 4
    return f"{median(values):.4f} [{values[quarter]:.4f} … {values[-1 - quarter]:.4f}]"


if __name__ == "__main__":
    main()
