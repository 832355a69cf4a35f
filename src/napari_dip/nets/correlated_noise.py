"""The answer for an image whose neighbouring pixels share their noise, from a blind prediction.

A filter with a hole predicts each pixel without those that share its noise. Where structure is as
fine as the hole a blur of the image may be better; so prediction, measured pixel and blurs are
mixed so that the expected error is least (`napari_dip.nets.covariance_penalty`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dip.nets.covariance_penalty import BlurMixtures

MOST_MIXED = 1 << 25  # pixels of a plane that is mixed with its blurs: they take memory


def denoise_correlated(
    y: Tensor, mean: Tensor, error: Tensor, noise: float, correlation: Tensor
) -> Tensor:
    """Mix a blind prediction, the measured pixels and blurs.

    Parameters
    ----------
    y : Tensor
        Shape (C, Y, X), noisy.
    mean, error : Tensor
        Of its shape: the prediction, and the variance of its error.
    noise : float
        Variance of the noise.
    correlation : Tensor
        Shape (2 R + 1, 2 R + 1), of the noise of a pixel with that of those up to R away, 1 in the
        middle.

    Returns
    -------
    Tensor
        Of the shape of `y`.
    """
    own_share = error / (noise + error)
    answer = mean + own_share * (y - mean)
    if y.numel() > MOST_MIXED:
        return answer
    blurs = BlurMixtures(y, correlation, torch.full_like(y, noise))
    return blurs.mix(answer, own_share, error)
