"""Models as ONNX, by jax2onnx: for onnxruntime in C++, Java, Swift, Kotlin, JavaScript, …"""

import contextlib
import logging
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from talweg.core import errors
from talweg.core.files import replacing
from talweg.export.agreement import check
from talweg.export.forward import Forward
from talweg.export.lowering import lowered
from talweg.export.signature import Entry
from talweg.export.tracing import open_shapes, told, traced

# That of ONNX 1.16, which onnxruntime reads from its version 1.18 (2024) on.
OPSET = 21


def write(
    forward: Forward, path: Path, verify: bool = True, opset_version: int | None = None
) -> list[Entry]:
    """Write one `.onnx` file, weights included; returns its outputs.

    Args:
        forward: the model. Layers of mixed precision compute in the type of their weights,
            since onnxruntime multiplies no bfloat16 on CPUs.
        path: where to.
        verify: whether onnxruntime runs it and is compared with the model before it is kept.
        opset_version: of ONNX; 21.

    Raises:
        MissingExtraError: jax2onnx is not installed.
        ValueError: a layer that ONNX or jax2onnx cannot carry.
    """
    with _cumsum_left_alone():
        jax2onnx = errors.extra("jax2onnx", "export", "export to ONNX")
    with forward.in_type_of_weights():
        forward, (shapes, program, outputs) = traced(_program, forward)
        names = forward.output_names(outputs)
        # jax2onnx replaces functions of JAX while it traces. What it is given is traced
        # already, so that nothing of the model is run, and kept by JAX's caches, meanwhile.
        try:
            program = jax.make_jaxpr(lowered(program))(*shapes)
            with _silence(), _cumsum_left_alone():
                proto = jax2onnx.to_onnx(
                    jaxpr_as_fun(program), inputs=shapes, model_name=forward.model.name,
                    opset=opset_version or OPSET, output_names=names,
                    input_names=[entry.name for entry in forward.inputs],
                )  # fmt: skip
            _drop_unused(proto.graph)
            _date_back(proto)
            content = proto.SerializeToString()
        except Exception as error:
            raise _refusal(forward, f"jax2onnx says: {error}") from error
        if verify:
            check(forward, _session(content, forward), "ONNX")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return told(names, jax.tree.leaves(outputs))


def _program(forward: Forward) -> tuple[Any, Any, Any]:
    """The shapes that go in, the jaxpr, and what comes out."""
    shapes = open_shapes(forward.inputs)
    structure: Any = None

    def flat(*arrays: Any) -> list[Any]:
        nonlocal structure
        outputs = forward(*forward.arguments(arrays))
        structure = jax.tree.structure(outputs)
        return jax.tree.leaves(outputs)

    program = jax.make_jaxpr(flat)(*shapes)
    return shapes, program, jax.tree.unflatten(structure, program.out_avals)


@contextlib.contextmanager
def _cumsum_left_alone() -> Generator[None]:
    """While jax2onnx loads: it puts a function of its own, which takes less, into jax.numpy."""
    cumsum = jnp.cumsum
    try:
        yield
    finally:
        jnp.cumsum = cumsum


@contextlib.contextmanager
def _silence() -> Generator[None]:
    """While jax2onnx logs its steps: to the root, which it would set up to be printed."""
    root, nowhere, before = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(nowhere)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        root.removeHandler(nowhere)


def _drop_unused(graph: Any) -> set[str]:
    """Take away constants that nothing reads, of which onnxruntime warns; returns what is read."""
    used = {value.name for value in graph.output}
    for node in graph.node:
        used.update(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                used |= _drop_unused(attribute.g)
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return used


def _date_back(proto: Any) -> None:
    """Give the file the oldest version of the format that has its operations.

    jax2onnx writes version 10 for all, which a runtime that knows the operations may refuse.
    """
    helper = errors.extra("onnx.helper", "export", "export to ONNX")
    needed = helper.find_min_ir_version_for(list(proto.opset_import), ignore_unknown=True)
    proto.ir_version = min(proto.ir_version, needed)


def _session(content: bytes, forward: Forward) -> Callable[[Sequence[np.ndarray]], Any]:
    """What runs the file."""
    runtime = errors.extra("onnxruntime", "export", "checking an ONNX file")

    def run(arrays: Sequence[np.ndarray]) -> Any:
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        names = [entry.name for entry in forward.inputs]
        try:
            session = runtime.InferenceSession(content, options, ["CPUExecutionProvider"])
            return session.run(None, dict(zip(names, arrays, strict=True)))
        except Exception as error:
            raise _refusal(forward, f"onnxruntime says: {error}") from error

    return run


def _refusal(forward: Forward, reason: str) -> ValueError:
    reason = " ".join(reason.split())[:400]
    return ValueError(
        f"export: model {forward.model.name!r} cannot be carried to ONNX. {reason} Nothing was "
        "written. What cannot be carried is listed in talweg's docs/export.md; "
        'format="stablehlo" carries all that runs in a compiled model.'
    )
