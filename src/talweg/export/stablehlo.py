"""Models as StableHLO: a file that `jax.export` reads, in a process without talweg."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export

from talweg.core import errors
from talweg.core.files import replacing
from talweg.export.agreement import check
from talweg.export.forward import Forward
from talweg.export.signature import Entry
from talweg.export.tracing import open_shapes, told, traced

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def write(
    forward: Forward, path: Path, verify: bool = True, platforms: Sequence[str] | None = None
) -> list[Entry]:
    """Write what `jax.export.deserialize` reads; returns its outputs.

    Args:
        forward: the model.
        path: where to.
        verify: whether the file is read back and compared with the model before it is kept.
        platforms: what the file is to run on; "cpu", "cuda", "rocm" and "tpu".

    Raises:
        ValueError: a platform that JAX does not know; open sizes that a layer needs to know;
            a result that is not the model's.
    """
    platforms = tuple(platforms or PLATFORMS)
    for platform in platforms:
        if platform not in PLATFORMS:
            raise errors.unknown("platform", platform, PLATFORMS)

    def export(one: Forward) -> Any:
        arguments = one.arguments(open_shapes(one.inputs))
        return jax.export.export(jax.jit(one), platforms=platforms)(*arguments)

    forward, exported = traced(export, forward)
    content = exported.serialize()
    if verify and jax.default_backend() in platforms:
        reloaded = jax.export.deserialize(content)
        check(forward, lambda arrays: reloaded.call(*forward.arguments(arrays)), "StableHLO")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    return told(forward.output_names(outputs), exported.out_avals)
