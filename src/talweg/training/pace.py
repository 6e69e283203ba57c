"""How many steps a block has: as many as keep screen, Ctrl-C and commands answering."""

import time


class Pace:
    """Chooses block lengths by measuring.

    The first block is short; later ones grow, at most eightfold at a time, until a
    block takes about `target` seconds. A change of speed is followed.

    Args:
        target: seconds that a block should take.
        limit: the largest number of steps; 1 runs step by step.
        fixed: whether every block has `limit` steps, however long they take, and batch hooks
            are called once for each.
    """

    def __init__(self, target: float = 0.1, limit: int = 2**30, fixed: bool = False):
        self.target = target
        self.limit = limit
        self.fixed = fixed
        self._length = limit if fixed else min(8, limit)
        self._begun = 0.0
        self._warm = False

    def next(self, remaining: int) -> int:
        """The length of the next block, at most `remaining` steps; starts the clock."""
        self._begun = time.perf_counter()
        return max(1, min(self._length, remaining, self.limit))

    def done(self, steps: int) -> float:
        """The block is finished; returns the seconds it took."""
        seconds = time.perf_counter() - self._begun
        if self._warm and not self.fixed:
            fitting = int(steps * self.target / max(seconds, 1e-7))
            self._length = max(1, min(fitting, 8 * steps, self.limit))
        self._warm = True  # the first block was spent compiling
        return seconds
