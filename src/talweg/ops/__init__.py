# ruff: noqa: F401, F403  (the names are exported, and listed in the modules they come from)
"""Keras's array functions, as thin as they can be over jax.numpy, jax.nn and jax.lax.

Those that NumPy has, too, are listed in `ops.numpy`, those of neural networks in `ops.nn`.
"""

from types import ModuleType

from talweg.ops import image, linalg, nn, numpy, random
from talweg.ops.classes import in_top_k, segment_max, segment_min, segment_prod, segment_sum, top_k
from talweg.ops.control import (
    associative_scan,
    cond,
    custom_gradient,
    fori_loop,
    jvp,
    map,
    scan,
    switch,
    vectorized_map,
    while_loop,
)
from talweg.ops.core import (
    cast,
    convert_to_numpy,
    convert_to_tensor,
    dtype,
    is_tensor,
    saturate_cast,
    scatter,
    scatter_update,
    shape,
    slice,
    slice_update,
    stop_gradient,
    unstack,
)
from talweg.ops.elementwise import erf, erfc, erfinv, rsqrt, view_as_complex, view_as_real
from talweg.ops.keras_tensor import KerasTensor, Tensor, compute_output_spec, is_symbolic, op
from talweg.ops.linalg import (
    cdist,
    cholesky,
    cholesky_inverse,
    det,
    eig,
    eigh,
    inv,
    logdet,
    lstsq,
    lu_factor,
    matrix_rank,
    norm,
    pinv,
    qr,
    solve,
    solve_triangular,
    svd,
)
from talweg.ops.nn import *
from talweg.ops.numpy import *
from talweg.ops.rearrangement import rearrange
from talweg.ops.reductions import logsumexp
from talweg.ops.spectral import extract_sequences, fft, fft2, ifft2, irfft, istft, rfft, stft

_ROOMS = (image, linalg, nn, numpy, random)
__all__ = sorted(
    name
    for name, value in globals().items()
    if not name.startswith("_")
    and value is not ModuleType
    and (not isinstance(value, ModuleType) or value in _ROOMS)
)
