"""All peers and workloads by name: a new family of benchmarks adds its tables here."""

from typing import Any, Protocol

from benchmarks import forward, parts, peers, products, updates, workloads
from benchmarks.peers import Peer


class Job(Protocol):
    """What a worker must know of a workload.

    Attributes:
        steps: how many units of work the trainer does for each unit that it is asked for.
        seconds: how long a measurement lasts, about.
    """

    @property
    def steps(self) -> float: ...

    @property
    def seconds(self) -> float: ...

    def quick(self) -> Any:
        """The same with less work, for a smoke run."""
        ...


PEERS: dict[str, Peer] = {
    **peers.PEERS,
    **forward.PEERS,
    **updates.PEERS,
    **products.PEERS,
    **parts.PEERS,
}

WORKLOADS: dict[str, Job] = {
    **workloads.WORKLOADS,
    **forward.WORKLOADS,
    **updates.WORKLOADS,
    **products.WORKLOADS,
    **parts.WORKLOADS,
}
