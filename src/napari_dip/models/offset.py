"""The level of an answer: noise has mean zero, so what is removed must have it too.

Plain functions of tensors that TorchScript compiles as well, for `napari_dip.models.torchscript`.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from napari_dip.noise.anscombe import FLAT

NOISE_REACHES = 3.0  # standard deviations: what is further off may be a structure or a cosmic ray


def is_flat(x: Tensor, side: int = FLAT) -> Tensor:
    """Return for each pixel of (B, C, Y, X) whether the square around it has one single value."""
    return _largest(x, side) == -_largest(-x, side)


def is_noisy(x: Tensor, side: int = FLAT) -> Tensor:
    """Return where (B, C, Y, X) is outside of squares of one value: padding, saturation, masks."""
    return _largest(is_flat(x, side).to(x.dtype), side) == 0


def _largest(x: Tensor, side: int) -> Tensor:
    """Return the maximum of (B, C, Y, X) in the square around each pixel."""
    half = side // 2
    rows = functional.max_pool2d(x, [1, side], 1, [0, half])
    return functional.max_pool2d(rows, [side, 1], 1, [half, 0])


def remove_offset(
    answer: Tensor, x: Tensor, noisy: Tensor, limit: float, looks: int = 1 << 20
) -> Tensor:
    """Shift an answer (B, C, Y, X) so that what it removes of `x` has mean zero, by channel.

    Pixels count where `noisy` (see `is_noisy`), unless their change is further than `limit` from
    the median change: a cosmic ray must not lift the background. The median is taken of at most
    about `looks` pixels.
    """
    removed = x - answer
    shifted = answer.clone()
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            change = removed[b, c][noisy[b, c]]
            if len(change) > 0:
                middle = change[:: (len(change) - 1) // looks + 1].median()
                shifted[b, c] += change[(change - middle).abs() <= limit].mean()
    return shifted
