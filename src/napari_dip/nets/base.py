"""What the networks of z share, and how the one that settings name is built."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Protocol

from torch import Tensor, nn

from napari_dip.settings.network_registry import NETWORKS

AMPLITUDE = 0.1  # z is uniform in [0, AMPLITUDE]


class PriorNet(nn.Module):
    """A network that maps z to an image in (0, 1).

    Attributes
    ----------
    inputs : int
        Channels of z.
    multiple : int
        The image's sides are multiples of it; smaller images are cut out of the next larger.
    growth : int
        How many times larger the image's sides are than those of z.
    fixed_z : bool
        Whether z must not be perturbed: a network that looks at no neighbours cannot average
        that out.
    """

    inputs: int
    multiple: int = 1
    growth: int = 1
    fixed_z: bool = False

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the sides of the z whose image covers height x width.

        At the deepest scale it has two pixels a side, so that reflection and batch norm have
        something to work with.
        """
        sides = (
            max(2, -(-n // self.multiple)) * self.multiple // self.growth for n in (height, width)
        )
        return next(sides), next(sides)

    def image(self, z: Tensor, height: int, width: int) -> Tensor:
        """Map z (B, inputs, ...) of `input_size` to an image (B, outputs, height, width)."""
        out: Tensor = self(z)
        return out[..., :height, :width]


def convolution(
    inputs: int, outputs: int, size: int, *, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """Return a convolution with reflected borders: sides stay, or are divided by the stride."""
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=bias, padding_mode="reflect")


def zero(convolution: nn.Conv2d) -> None:
    """Let a convolution start at zero, so that a fit starts at what it is added to."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)


class NetSettings(Protocol):
    """The settings that a network is built from."""

    @property
    def net(self) -> str: ...
    @property
    def channels(self) -> int: ...
    @property
    def scales(self) -> int: ...
    @property
    def skip_channels(self) -> int: ...
    @property
    def dropout(self) -> float: ...


def build_net(s: NetSettings, outputs: int, inputs: int) -> PriorNet:
    """Build the network that the settings name, with random weights.

    `outputs` are the channels of the image, `inputs` those of z; the Deep Decoder mixes z as it is,
    so its z is as wide as itself whatever `inputs` is.
    """
    if s.net not in NETWORKS:
        raise ValueError(f"There is no network {s.net!r} of z; there are {', '.join(NETWORKS)}.")
    net: PriorNet = resolve_name(NETWORKS[s.net].build)(s, inputs, outputs)
    return net
