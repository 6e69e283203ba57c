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
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from talweg.core.one_pass.groups import Group
from talweg.core.one_pass.program import TYPES, Value

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

typedef uint16_t bfloat16;

static inline float widened(bfloat16 x) {{
  union {{ uint32_t bits; float number; }} wide = {{(uint32_t)x << 16}};
  return wide.number;
}}

static inline bfloat16 narrowed(float x) {{
  union {{ float number; uint32_t bits; }} wide = {{x}};
  const uint32_t even = wide.bits + 0x7fff + (wide.bits >> 16 & 1);
  return (x != x ? wide.bits | 0x400000 : even) >> 16;
}}

static void numbers(void **in, void **out, const int64_t *at, int64_t begin, int64_t end) {{
{heads}
#pragma omp simd
  for (int64_t i = begin; i < end; i++) {{
{body}
  }}
}}
"""


# In a register: what is as wide as a float is done for as many at once.
_HELD = TYPES | {np.dtype("bool"): "int"}


def written_in_c(group: Group, over: Mapping[Value, Value]) -> str:
    """The function `numbers` of a group: the same text for all groups that do the same.

    Args:
        group: what it does.
        over: for outputs, the input that each is written over.
    """
    names: dict[Value, str] = {}
    heads: list[str] = []
    body: list[str] = []
    arrays, scalars = group.arrays, group.scalars

    def named(value: Value) -> str:
        value = value.scalar or value
        return names.get(value) or str(value.literal)

    for k, value in enumerate(arrays):
        names[value] = f"a{k}"
        heads.append(f"  const {TYPES[value.aval.dtype]} *in{k} = in[{k}];")
        body.append(f"    const {_HELD[value.aval.dtype]} a{k} = in{k}[i];")
    for k, value in enumerate(scalars):
        kind, names[value] = TYPES[value.aval.dtype], f"s{k}"
        heads.append(f"  const {kind} s{k} = (({kind} *)in[ARRAYS + {k}])[at[{k}]];")
    for k, equation in enumerate(group.equations):
        assert equation.expression is not None
        made = equation.outputs[0]
        of = equation.inputs[0].aval.dtype
        text = equation.expression(*map(named, equation.inputs), of=of, **equation.params)
        names[made] = f"x{k}"
        body.append(f"    const {_HELD[made.aval.dtype]} x{k} = {text};")
    for k, value in enumerate(group.outputs):
        heads.append(f"  {TYPES[value.aval.dtype]} *out{k} = out[{k}];")
        body.append(f"    out{k}[i] = {names[value]};")
    if skipped := group.skipped(over):
        which, where = skipped
        places = (f"out[{o}] == in[{arrays.index(over[v])}]" for o, v in enumerate(group.outputs))
        stays = " && ".join([named(which) if where else f"!{named(which)}", *places])
        heads.append(f"  if ({stays}) return;")
    return _NUMBERS.format(
        arrays=len(arrays), scalars=len(scalars) + 1, outputs=len(group.outputs),
        heads="\n".join(heads), body="\n".join(body),
    )  # fmt: skip


def compiler() -> list[str] | None:
    """The command of the C compiler; None where there is none."""
    command = _command()
    return command if sys.platform != "win32" and shutil.which(command[0]) else None


def check() -> None:
    """See whether loops can be compiled here.

    Raises:
        RuntimeError: there is no compiler, or it fails.
    """
    if compiler() is None:
        raise RuntimeError(
            f"set_fused_updates: expected a C compiler, got none as {_command()[0]!r}. Install gcc "
            "or clang (on Debian: apt install gcc), or name it by CC in the environment, or leave "
            "the updates to XLA."
        )
    registered(_NUMBERS.format(arrays=0, scalars=1, outputs=1, heads="", body=""))


def registered(numbers: str) -> str:
    """The name under which XLA knows the loop over `numbers`, a text in C.

    Raises:
        RuntimeError: it cannot be compiled or loaded, with what the compiler says.
    """
    with _alone:  # a name can be made known once only
        return _registered(numbers)


def _command() -> list[str]:
    given = os.environ.get("CC", "")
    try:
        return shlex.split(given) or ["cc"]
    except ValueError:  # a quotation without an end: it names no program
        return [given]


_alone = threading.Lock()


@functools.cache
def _registered(numbers: str) -> str:
    name = f"talweg_one_pass_{hashlib.sha256(numbers.encode()).hexdigest()[:16]}"
    command = [*_command(), *_FLAGS, "-I", jax.ffi.include_dir(), "loop.c", "-o", "loop.so", "-lm"]
    try:
        with tempfile.TemporaryDirectory(prefix="talweg-") as folder:
            Path(folder, "numbers.h").write_text(numbers)
            shutil.copy(Path(__file__).with_name("loop.c"), folder)
            made = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if made.returncode:
                raise OSError(made.stderr or f"It ends with status {made.returncode}.")
            library = ctypes.CDLL(str(Path(folder, "loop.so")))
    except OSError as error:
        raise RuntimeError(
            "The loop of an update cannot be compiled: mend the compiler, or leave updates to XLA "
            f"by set_fused_updates(False).\n{shlex.join(command)}\n{error}"
        ) from error
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(library.one_pass), platform="cpu")
    return name
