"""What a measurement saw of an image: the operators A in ``|| A f(z) - y ||^2``.

One network and one loop restore in several ways, since only A changes (Ulyanov, Vedaldi and
Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925, section 3). All operators are
differentiable; none has weights of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.errors import DenoiseError

LOBES = 3  # of the Lanczos window on either side, as in Pillow; the paper's code fits with 2


class Operator(ABC):
    """Turns an image (C, Y, X) into what was measured of it."""

    @abstractmethod
    def __call__(self, image: Tensor) -> Tensor:
        """Return A x."""

    @abstractmethod
    def canvas(self, measured: Tensor) -> tuple[int, int, int]:
        """Return the shape (C, Y, X) of the images that A takes, given what was measured."""

    def valid_mask(self, measured: Tensor) -> Tensor:
        """Return True where the measurement counts, of a shape that broadcasts to it."""
        return torch.ones_like(measured[:1], dtype=torch.bool)


class Identity(Operator):
    """Every pixel was measured: denoising."""

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image as it is."""
        return image

    def canvas(self, measured: Tensor) -> tuple[int, int, int]:
        """Return the shape of the measurement."""
        colours, height, width = measured.shape
        return colours, height, width


class Masked(Identity):
    """Only some pixels were measured, the known ones of a mask (1, Y, X): inpainting."""

    def __init__(self, known: Tensor) -> None:
        self.known = known

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image with zeros where nothing was measured."""
        return torch.where(self.known, image, 0.0)

    def valid_mask(self, measured: Tensor) -> Tensor:
        """Return the known pixels, (1, Y, X)."""
        return self.known


class Downsampled(Operator):
    """A pixel of the measurement spans `factor` pixels of the image on each side: super-resolution.

    Through ``"lanczos"``, a window of three lobes that lets no pattern finer than the pixels
    through, or ``"binning"``, the mean over the pixel as a camera's pixels take it.
    """

    def __init__(self, factor: int, kind: str = "lanczos", lobes: int = LOBES) -> None:
        self.factor, self.kind = factor, kind
        middle = (factor - 1) / 2  # of the pixels 0 ... factor - 1 that a measured pixel spans
        self.margin = math.ceil(lobes * factor - middle) if kind == "lanczos" else 0
        at = torch.arange(-self.margin, factor + self.margin, dtype=torch.float64)
        distance = (at - middle) / factor
        window = torch.sinc(distance) * torch.sinc(distance / lobes) * (distance.abs() < lobes)
        line = window if kind == "lanczos" else torch.ones(factor, dtype=torch.float64)
        self.line = (line / line.sum()).float()

    def __call__(self, image: Tensor) -> Tensor:
        """Return the measurement (C, Y, X) of an image (C, factor Y, factor X)."""
        if self.kind == "binning":
            return functional.avg_pool2d(image, self.factor)
        m, line = self.margin, self.line.to(image)
        wide = functional.pad(image[:, None], (m, m, m, m), mode="replicate")  # (C, 1, ...)
        rows = functional.conv2d(wide, line[None, None, :, None], stride=(self.factor, 1))
        return functional.conv2d(rows, line[None, None, None, :], stride=(1, self.factor))[:, 0]

    def canvas(self, measured: Tensor) -> tuple[int, int, int]:
        """Return the measurement's shape, `factor` times as high and wide."""
        colours, height, width = measured.shape
        return colours, self.factor * height, self.factor * width


class Features(Operator):
    """The output of a layer of a network for the image: natural pre-images.

    `module` takes (B, C, Y, X), is set to evaluation mode and never changed; `layer` is one of
    ``dict(module.named_modules())``; `shape` is the image's (C, Y, X), whose one channel is
    repeated `repeat` times for a network that wants colours.

    Reference: Mahendran and Vedaldi, Understanding deep image representations by inverting them,
    CVPR 2015, arXiv:1412.0035.
    """

    def __init__(
        self, module: nn.Module, layer: str, shape: tuple[int, int, int], repeat: int = 1
    ) -> None:
        self.module, self.layer, self.shape, self.repeat = module, layer, shape, repeat
        self.unit = 1.0  # what the features are divided by

    def __call__(self, image: Tensor) -> Tensor:
        """Return the layer's output for an image (C, Y, X)."""
        seen: list[Tensor] = []

        def catch(module: nn.Module, inputs: object, output: object) -> None:
            if not isinstance(output, Tensor):
                raise DenoiseError(
                    f"The layer {self.layer!r} gives a {type(output).__name__}; take one with a "
                    "tensor."
                )
            seen.append(output)
            raise _Reached  # later layers need not run

        hook = dict(self.module.named_modules())[self.layer].register_forward_hook(catch)
        try:
            self.module(image[None].repeat(1, self.repeat, 1, 1))
        except _Reached:
            pass
        finally:
            hook.remove()
        if not seen:
            raise DenoiseError(
                f"The layer {self.layer!r} is not used when the module looks at an image; take "
                "another."
            )
        return seen[0] / self.unit

    def canvas(self, measured: Tensor) -> tuple[int, int, int]:
        """Return the image's shape."""
        return self.shape

    def valid_mask(self, measured: Tensor) -> Tensor:
        """Return True everywhere."""
        return torch.ones_like(measured, dtype=torch.bool)


class _Reached(Exception):
    """The layer has spoken."""
