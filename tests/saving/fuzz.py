"""Files by the thousand that no program wrote: an error that says so, or a model.

    python tests/saving/fuzz.py SECONDS        (make fuzz)

Mutates the files of tests/saving/corpus with knowledge of their structure. With atheris, where
it is installed, coverage of talweg's reading code guides the search. What breaks a rule of
limits.py, or raises anything but ValueError, is kept in .cache/fuzz and ends the run.
"""

import hashlib
import os
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOUND = ROOT / ".cache" / "fuzz"
# What guides the search.
GUIDED = ["talweg.saving", "talweg.core.serialization", "talweg.models", "zipfile", "json"]


def one_input(content: bytes) -> None:
    from saving import opening

    try:
        opening.opened(content)
    except BaseException:
        FOUND.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(content).hexdigest()[:12] + opening.ending(content)
        (FOUND / name).write_bytes(content)
        print(f"kept as {FOUND / name}", flush=True)
        raise


def without_guide(seconds: float) -> None:
    """Mutations of mutations of the corpus."""
    from saving import mutations, opening

    draw = random.Random(time.time_ns())
    pool = [file.read_bytes() for file in sorted(opening.CORPUS.iterdir())]
    opening.warmed()
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        content = draw.choice(pool)
        for _ in range(draw.choice((1, 1, 2, 4))):
            content = mutations.changed(draw, content)
        one_input(content)
        count += 1
        if draw.randrange(20) == 0 and len(content) < 1 << 18:
            pool.append(content)
    print(f"{count} files opened or refused; without a guide, for atheris is not installed")


def guided(atheris, seconds: float) -> None:
    """The search of libFuzzer, which keeps what reaches new code."""
    with atheris.instrument_imports(include=GUIDED):
        import talweg.saving
    from saving import mutations, opening

    def mutated(content: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        if draw.randrange(10) == 0:
            content = atheris.Mutate(content, most)
        return mutations.changed(draw, content)[:most]

    assert talweg.saving
    opening.warmed()
    grown = FOUND / "corpus"
    grown.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={int(seconds)}", "-rss_limit_mb=4096", "-timeout=20", "-max_len=262144",
        f"-artifact_prefix={FOUND}/", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup(
        [sys.argv[0], *options, str(grown), str(opening.CORPUS)], one_input, custom_mutator=mutated
    )
    atheris.Fuzz()


def main(seconds: float) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    os.environ.setdefault("TALWEG_COMPILE_CACHE", str(ROOT / ".cache" / "compiled"))
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    try:
        import atheris
    except ImportError:
        without_guide(seconds)
    else:
        guided(atheris, seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0)
