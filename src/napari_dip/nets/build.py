"""One builder for the networks that turn z into an image, read off the settings."""

from __future__ import annotations

from typing import Protocol

from napari_dip.nets.base import PriorNet
from napari_dip.nets.decoder import DeepDecoder
from napari_dip.nets.resnet import ResNet
from napari_dip.nets.resunet import ResUNet
from napari_dip.nets.skip import SkipNet
from napari_dip.nets.unet import UNet

WIDEST = 8  # of a U-Net, in units of its width at full size


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

    Parameters
    ----------
    s : NetSettings
        Such as ``DIP(net="skip")``.
    outputs : int
        Channels of the image.
    inputs : int
        Channels of z. The Deep Decoder mixes z as it is, so its z is as wide as itself whatever is said here.

    Raises
    ------
    ValueError
        If there is no such network of z.
    """
    match s.net:
        case "skip":
            return SkipNet(inputs, outputs, s.channels, s.scales, s.skip_channels)
        case "resnet":
            return ResNet(inputs, outputs, s.channels)
        case "resunet":
            return ResUNet(inputs, outputs, s.channels, s.scales, s.skip_channels, s.dropout)
        case "decoder":
            return DeepDecoder(outputs, s.channels, s.scales)
        case "unet":
            return UNet(
                inputs, outputs, s.channels, s.scales, sigmoid=True, widest=WIDEST * s.channels
            )
    raise ValueError(
        f"There is no network {s.net!r} of z; there are skip, resnet, resunet, decoder and unet."
    )
