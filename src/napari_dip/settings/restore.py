"""The settings of the restorations."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings import shared
from napari_dip.settings.base import Presets, knob
from napari_dip.settings.dip import NetworkOfZ
from napari_dip.settings.network_registry import NETWORKS, any_network, networks_of_images

BLIND_SPOT = "blind-spot"  # the network that sees the image around each pixel, beside those of z
NET_HELP = (
    "Network: blind-spot sees the image around each pixel; the others turn z, random or the guide, "
    "into the image, and skip is the published one."
)


def blind_spot_or_any() -> list[str]:
    """Return the networks that can fill gaps."""
    return [BLIND_SPOT, *any_network()]


def blind_spot_or_guided() -> list[str]:
    """Return the networks that can look at a guide."""
    return [BLIND_SPOT, *networks_of_images()]


class BlindSpotOrZ(NetworkOfZ):
    """What a restoration asks for whose network may see the image itself."""

    stabilise: bool = shared.STABILISE(True)
    learning_rate: float = shared.LEARNING_RATE(0.004)
    averaging: float = shared.AVERAGING(0.98)
    layers: int = shared.LAYERS(4)
    crop: int = shared.CROP(32)
    batch: int = shared.BATCH(4)


class Inpaint(BlindSpotOrZ):
    """How missing pixels are filled.

    The preset ``fast`` (the default) learns on hidden known pixels what belongs into gaps and suits
    scattered pixels and gaps up to about 20 pixels wide; ``holes`` is Deep Image Prior, fitted to
    the known pixels, and suits larger ones.
    """

    method: ClassVar[str] = "inpaint"
    title: ClassVar[str] = "Inpainting"
    summary: ClassVar[str] = "Fills missing pixels: from what surrounds them."
    presets: ClassVar[Presets] = {
        "fast": {},
        "holes": {
            "net": "skip",
            "steps": 1500,
            "learning_rate": 0.01,
            "stop": "never",
            "averaging": 0.98,
            "channels": 48,
        },
    }

    steps: int = shared.STEPS(1000)
    net: str = shared.NET(
        BLIND_SPOT,
        help_text=NET_HELP,
        choices=blind_spot_or_any,
    )
    stop: shared.Rule = shared.STOP_OR_VARIANCE("never")
    stabilise: bool = shared.STABILISE(False)
    averaging: float = shared.AVERAGING(0.99)
    layers: int = shared.LAYERS(6, help_text="Residual blocks of the blind-spot network.")
    crop: int = shared.CROP(48)
    input_channels: int = shared.INPUT_CHANNELS(32)

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if self.net == BLIND_SPOT and self.stop != "never":
            raise ValueError(
                f"stop {self.stop!r} needs a network of z; take net 'skip', or stop 'never'"
            )
        return self


class Upscale(NetworkOfZ):
    """How an image is enlarged: the network's image, made coarse, is to be the one given."""

    method: ClassVar[str] = "upscale"
    title: ClassVar[str] = "Upscaling"
    summary: ClassVar[str] = "Enlarges: twice to eight times as many pixels."
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {
            "steps": 2000,
            "z": "noise",
            "input_channels": 32,
            "jitter": 1 / 30,
            "averaging": 0.99,
            "channels": 128,
            "schedule": "constant",
        },
    }

    steps: int = shared.STEPS(250)
    z: Literal["enlarged", "noise"] = knob(
        "enlarged",
        "The network's input: random numbers as published, or beside them the image enlarged by "
        "splines.",
    )
    net: str = shared.NET("skip")
    stop: shared.Rule = shared.STOP_OR_VARIANCE("never")
    jitter: float = shared.JITTER(0.01)
    input_channels: int = shared.INPUT_CHANNELS(16)

    @model_validator(mode="after")
    def _takes_its_z(self) -> Self:
        if self.z == "enlarged" and not NETWORKS[self.net].takes_image:
            raise ValueError(
                f"net {self.net!r} starts from random numbers only; take z 'noise' or net 'skip'"
            )
        return self


class Guided(BlindSpotOrZ):
    """How an image is restored with the help of a guide.

    The preset ``fast`` (the default) shows the guide to the blind-spot network beside the image.
    ``flash`` is Deep Image Prior with the guide in place of random z, for noise that neighbouring
    pixels share, as in photographs; ``paper`` is that fit at its published size.
    """

    method: ClassVar[str] = "guided"
    title: ClassVar[str] = "Guided restoration"
    summary: ClassVar[str] = "Denoises with a guide: another, better image of the same place."
    presets: ClassVar[Presets] = {
        "fast": {},
        "flash": {
            "net": "skip",
            "steps": 300,
            "learning_rate": 0.01,
            "averaging": 0.98,
            "channels": 32,
            "stabilise": False,
            "stop": "never",
        },
        "paper": {
            "net": "skip",
            "steps": 600,
            "learning_rate": 0.1,
            "schedule": "constant",
            "stabilise": False,
            "stop": "never",
            "averaging": 0.0,
            "channels": 128,
            "jitter": 0.0,
        },
    }

    steps: int = shared.STEPS(400)  # this and the next three as BlindSpot has them
    learning_rate: float = shared.LEARNING_RATE(0.006)
    averaging: float = shared.AVERAGING(0.97)
    channels: int = shared.CHANNELS(24)
    net: str = shared.NET(
        BLIND_SPOT,
        help_text=NET_HELP,
        choices=blind_spot_or_guided,
    )
    stop: shared.Rule = shared.STOP_OR_VARIANCE("held-out")


class Invert(NetworkOfZ):
    """How an image with given features is found: the network is fitted to the features."""

    method: ClassVar[str] = "invert"
    title: ClassVar[str] = "Feature inversion"
    summary: ClassVar[str] = "For experts: an image from what a network makes of it."
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {"steps": 3000, "averaging": 0.99, "channels": 128, "schedule": "constant"},
    }

    steps: int = shared.STEPS(600)
    net: str = shared.NET("skip")
    stop: shared.Rule = shared.STOP_OR_VARIANCE("never")
    input_channels: int = shared.INPUT_CHANNELS(32)
