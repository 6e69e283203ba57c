"""Windows over spatial axes: their shapes, and convolutions as sums over places.

A convolution is a sum over the places of its kernel, of a shifted input times one slice of
the kernel. Written so, its gradients need no convolution primitive; those of XLA's are ten times
slower inside a loop on a CPU (a small CNN on 28×28, batch 128, jax 0.10.2: 366 ms against 30 ms a
step). Forward XLA's own is the faster one, loop or not (6 ms of processor time against 9
for both of that CNN), and it compiles in half the time; but with an input smaller than its kernel
it falls back to plain loops (2×2×512 under 3×3: 97 ms against 1.2). Tried without
gain: a product for each row of the kernel in place of one for all; XLA's convolution for
the gradient of the input alone, 20 ms slower in a loop. All here take images with channels last.
"""

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from talweg.core import errors
from talweg.core.compilation import runs_on_cpu

# The largest copy of the input, in bytes, that a convolution on a CPU may make.
_PATCH_BYTES = 32 << 20


def suits_patches(layer: Any, inputs: Any, copies: int) -> bool:
    """Whether to sum over the places of a kernel, in place of XLA's convolution.

    Args:
        layer: the layer, for its data format.
        inputs: the array that is copied.
        copies: how many copies of it the sum makes.
    """
    return (
        layer.data_format == "channels_last"
        and runs_on_cpu()
        and inputs.size * copies * inputs.dtype.itemsize <= _PATCH_BYTES
    )


def places(window: Sequence[int]) -> list[tuple[int, ...]]:
    """The places of a window, the last axis fastest: the order of a kernel's entries."""
    return list(itertools.product(*map(range, window)))


def shifted(
    x: Any, window: Sequence[int], strides: Sequence[int], dilation: Sequence[int], padding: Any
) -> list[Any]:
    """For each place of the window, the inputs that it sees: (batch, *outputs, channels)."""
    spans = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    pads = padding
    if isinstance(padding, str):
        pads = lax.padtype_to_pads(x.shape[1:-1], spans, strides, padding)
    if any(side for pair in pads for side in pair):
        x = jnp.pad(x, [(0, 0), *pads, (0, 0)])
    counts = [
        (size - span) // stride + 1
        for size, span, stride in zip(x.shape[1:-1], spans, strides, strict=True)
    ]
    axes = list(zip(strides, counts, dilation, strict=True))
    return [
        x[:, *(slice(i * d, i * d + s * n, s) for i, (s, n, d) in zip(place, axes, strict=True))]
        for place in places(window)
    ]


def convolved(
    x: Any, kernel: Any, strides: Sequence[int], padding: Any, dilation: Sequence[int]
) -> Any:
    """A convolution: XLA's own where nothing is differentiated, else a sum over places.

    Args:
        x: (batch, *spatial, channels).
        kernel: (*window, channels, filters).
        strides, dilation: one number per axis.
        padding: "SAME", "VALID" or pairs of sizes.
    """
    spans = [(k - 1) * d + 1 for k, d in zip(kernel.shape[:-2], dilation, strict=True)]
    if any(size < span for size, span in zip(x.shape[1:-1], spans, strict=True)):
        return by_patches(x, kernel, strides, padding, dilation)
    pads = padding if isinstance(padding, str) else tuple(map(tuple, padding))
    return _forward_by_xla(x, kernel, tuple(strides), pads, tuple(dilation))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _forward_by_xla(x: Any, kernel: Any, strides: Any, padding: Any, dilation: Any) -> Any:
    axes = "DHW"[-len(strides) :]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return lax.conv_general_dilated(
        x, kernel, strides, padding, rhs_dilation=dilation, dimension_numbers=layout
    )


def _by_places(strides: Any, padding: Any, dilation: Any, primals: Any, tangents: Any) -> Any:
    x, kernel = primals
    of_x, of_kernel = tangents
    outputs = by_patches(x, kernel, strides, padding, dilation)
    # Images have no tangent in the first layer: what is not asked for is not computed.
    moved = []
    if not isinstance(of_x, SymbolicZero):
        moved.append(by_patches(of_x, kernel, strides, padding, dilation))
    if not isinstance(of_kernel, SymbolicZero):
        moved.append(by_patches(x, of_kernel, strides, padding, dilation))
    return outputs, functools.reduce(operator.add, moved) if moved else jnp.zeros_like(outputs)


_forward_by_xla.defjvp(_by_places, symbolic_zeros=True)


def by_patches(
    x: Any,
    kernel: Any,
    strides: Sequence[int],
    padding: Any,
    dilation: Sequence[int] | None = None,
) -> Any:
    """A convolution as one matrix product of patches and kernel."""
    window = kernel.shape[:-2]
    patches = shifted(x, window, strides, dilation or (1,) * len(window), padding)
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def depthwise_by_places(
    x: Any, kernel: Any, strides: Sequence[int], padding: str, dilation: Sequence[int]
) -> Any:
    """Each channel with its own kernels, of shape (*window, channels, multiplier)."""
    *window, channels, multiplier = kernel.shape
    weights = kernel.reshape(-1, channels, multiplier)
    seen = shifted(x, window, strides, dilation, padding)
    if multiplier == 1:
        return functools.reduce(operator.add, (x * weights[i, :, 0] for i, x in enumerate(seen)))
    total = functools.reduce(operator.add, (x[..., None] * weights[i] for i, x in enumerate(seen)))
    return total.reshape(*total.shape[:-2], channels * multiplier)


def transposed_by_places(
    x: Any,
    kernel: Any,
    strides: Sequence[int],
    dilation: Sequence[int],
    cuts: Sequence[int],
    sizes: Sequence[int],
) -> Any:
    """The transpose of a convolution: each input lays the kernel, times itself, down.

    Args:
        x: (batch, *spatial, inputs).
        kernel: (*window, outputs, inputs).
        cuts: how many of the first entries of the whole result are cut off, by axis.
        sizes: the spatial shape of the output.
    """
    *window, filters, _ = kernel.shape
    laid = jnp.tensordot(x, kernel.reshape(-1, kernel.shape[-1]), ((-1,), (-1,)))
    parts = []
    for i, place in enumerate(places(window)):
        around = [(0, 0, 0)]
        for n, k, s, d, cut, size in zip(
            x.shape[1:-1], place, strides, dilation, cuts, sizes, strict=True
        ):
            low = k * d - cut
            around.append((low, size - low - (n - 1) * s - 1, s - 1))
        part = laid[..., i * filters : (i + 1) * filters]
        parts.append(lax.pad(part, jnp.zeros((), part.dtype), [*around, (0, 0, 0)]))
    return functools.reduce(operator.add, parts)


def windows_shape(
    layer: Any,
    input_shape: Sequence[int | None],
    window: Sequence[int],
    strides: Sequence[int],
    padded: bool,
    channels: int | None,
) -> tuple[int | None, ...]:
    """The shape that windows at `strides` leave; `padded` means one per stride.

    Raises:
        ValueError: a window is larger than the input.
    """
    first = 1 if layer.data_format == "channels_last" else 2
    sizes = list(input_shape)
    for axis, (span, stride) in enumerate(zip(window, strides, strict=True), first):
        size = sizes[axis]
        if size is None:
            continue
        sizes[axis] = ((size - 1) if padded else (size - span)) // stride + 1
        if not padded and size < span:
            raise errors.invalid(
                f"Layer {layer.name!r}", f"axis {axis} of the input",
                f"at least the window's {span}", tuple(input_shape),
                "Use padding='same', or fewer layers that shrink it.",
            )  # fmt: skip
    if channels is not None:
        sizes[-1 if first == 1 else 1] = channels
    return tuple(sizes)
