"""A loop over the numbers of arrays: written in C, compiled, and made known to XLA.

It holds neither sizes nor numbers that may change: one loop serves every array, and every member
of a population, that is treated alike. It is compiled anew in each process, for the processor at
hand: nothing is read from a folder that others might write, and what one machine compiled does not
meet another's processor.
"""

import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import jax

from talweg.core.one_pass.program import TYPES, Group, Value

_FLAGS = (
    "-std=c11", "-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math",
    # Each result rounded, as written: the same numbers from every compiler.
    "-ffp-contract=off", "-shared", "-fPIC",
)  # fmt: skip

_NUMBERS = """\
#include <math.h>
#include <stdint.h>

#define ARRAYS {arrays}
#define SCALARS {scalars}
#define OUTPUTS {outputs}
#define root(x) _Generic((x), float: sqrtf, double: sqrt)(x)
#define absolute(x) _Generic((x), float: fabsf, double: fabs)(x)

static void numbers(void **in, void **out, int64_t member, int64_t begin, int64_t end) {{
{heads}
#pragma omp simd
  for (int64_t i = begin; i < end; i++) {{
{body}
  }}
}}
"""


def written_in_c(group: Group, outputs: Sequence[Value]) -> str:
    """The function `numbers` of a group: the same text for all groups that do the same."""
    names: dict[Value, str] = {}
    heads: list[str] = []
    body: list[str] = []
    arrays, scalars = group.arrays, group.scalars

    def named(value: Value) -> str:
        value = value.scalar or value
        return names.get(value) or str(value.literal)

    for k, value in enumerate(arrays):
        kind, names[value] = TYPES[value.aval.dtype], f"a{k}"
        heads.append(f"  const {kind} *in{k} = in[{k}];")
        body.append(f"    const {kind} a{k} = in{k}[i];")
    for k, value in enumerate(scalars):
        kind, names[value] = TYPES[value.aval.dtype], f"s{k}"
        heads.append(f"  const {kind} s{k} = (({kind} *)in[ARRAYS + {k}])[member];")
    for k, equation in enumerate(group.equations):
        assert equation.expression is not None
        made = equation.outputs[0]
        text = equation.expression(*map(named, equation.inputs), **equation.params)
        names[made] = f"x{k}"
        body.append(f"    const {TYPES[made.aval.dtype]} x{k} = {text};")
    for k, value in enumerate(outputs):
        heads.append(f"  {TYPES[value.aval.dtype]} *out{k} = out[{k}];")
        body.append(f"    out{k}[i] = {names[value]};")
    return _NUMBERS.format(
        arrays=len(arrays), scalars=len(scalars) + 1, outputs=len(outputs),
        heads="\n".join(heads), body="\n".join(body),
    )  # fmt: skip


def compiler() -> list[str]:
    """The command of the C compiler.

    Raises:
        RuntimeError: there is none.
    """
    command = shlex.split(os.environ.get("CC") or "cc")
    if sys.platform == "win32" or shutil.which(command[0]) is None:
        raise RuntimeError(
            f"set_fused_updates: expected a C compiler, got none as {command[0]!r}. Install gcc or "
            "clang (on Debian: apt install gcc), or name it by CC in the environment, or leave the "
            "updates to XLA."
        )
    return command


def registered(numbers: str) -> str:
    """The name under which XLA knows the loop over `numbers`, a text in C.

    Raises:
        RuntimeError: the compiler does not take it, with what it says.
    """
    with _alone:  # a name can be made known once only
        return _registered(numbers)


_alone = threading.Lock()


@functools.cache
def _registered(numbers: str) -> str:
    name = f"talweg_one_pass_{hashlib.sha256(numbers.encode()).hexdigest()[:16]}"
    with tempfile.TemporaryDirectory(prefix="talweg-") as folder:
        Path(folder, "numbers.h").write_text(numbers)
        shutil.copy(Path(__file__).with_name("loop.c"), folder)
        command = [*compiler(), *_FLAGS, "-I", jax.ffi.include_dir(), "loop.c", "-o", "loop.so"]
        made = subprocess.run([*command, "-lm"], cwd=folder, capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError(
                "The C compiler does not take the loop of an update: leave updates to XLA, by "
                f"set_fused_updates(False).\n{shlex.join(command)}\n{made.stderr}"
            )
        library = ctypes.CDLL(str(Path(folder, "loop.so")))
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(library.one_pass), platform="cpu")
    return name
