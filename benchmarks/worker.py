"""One peer in a process of its own, waiting to be measured.

`python -m benchmarks.worker PEER WORKLOAD [--quick]` answers on its standard output, a line
of JSON each: once when it is warm, then for every line that it reads with the seconds per
step of one measurement. What the peer itself prints goes to standard error.
"""

import json
import os
import sys
import time

from benchmarks.catalog import PEERS, WORKLOADS

WARM_EPOCHS = 2


def main(peer: str, workload_name: str, quick: bool) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: float | None) -> None:
        print(json.dumps(values), file=answers, flush=True)

    workload = WORKLOADS[workload_name].quick() if quick else WORKLOADS[workload_name]
    train = PEERS[peer].make(workload)
    loss = train(WARM_EPOCHS)
    begun = time.perf_counter()
    train(1)
    epochs = _epochs(time.perf_counter() - begun, workload.seconds)
    if epochs > 1:  # the cost of a call hides that of an epoch where epochs are short
        begun = time.perf_counter()
        train(epochs)
        epochs = _epochs((time.perf_counter() - begun) / epochs, workload.seconds)
    answer(loss=loss)
    for _ in sys.stdin:
        begun = time.perf_counter()
        train(epochs)
        answer(seconds=(time.perf_counter() - begun) / (epochs * workload.steps))


def _epochs(one: float, together: float) -> int:
    return max(1, round(together / one))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "--quick" in sys.argv)
