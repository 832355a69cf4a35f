"""The settings of the restorations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings import shared
from napari_dip.settings.base import knob
from napari_dip.settings.dip import NetworkOfZ
from napari_dip.settings.networks import NETWORKS, any_network, networks_of_images

BLIND_SPOT = "blind-spot"  # the network that sees the image around each pixel, beside those of z


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
    averaging: float = shared.AVERAGING_OUTPUTS(
        0.98,
        help_text="Weight of the past in the exponential average of weights (blind-spot) or "
        "outputs (other nets).",
    )
    layers: int = shared.LAYERS(4)
    crop: int = shared.CROP(32)
    batch: int = shared.BATCH(4)


class Inpaint(BlindSpotOrZ):
    """How missing pixels are filled.

    The preset ``fast`` (the default) learns on hidden known pixels what belongs into gaps and suits
    scattered pixels and gaps up to about 20 pixels wide; ``holes`` fits the published network to
    the known pixels and suits larger ones."""

    method: ClassVar[str] = "inpaint"
    title: ClassVar[str] = "Inpainting"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
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

    steps: int = shared.STEPS(1000, help_text="Steps of Adam.")
    net: str = shared.NET(
        BLIND_SPOT,
        help_text="Network: blind-spot fills what it sees around; the others turn random z into "
        "an image, of which skip is the published one.",
        choices=blind_spot_or_any,
    )
    stop: shared.Rule = shared.STOP_OR_VARIANCE(
        "never",
        help_text="What chooses the step: known pixels held out, the moving variance of outputs "
        "(both not for blind-spot), or nothing.",
        basic=False,
    )
    stabilise: bool = shared.STABILISE(False)
    averaging: float = shared.AVERAGING_OUTPUTS(
        0.99,
        help_text="Weight of the past in the average of weights (blind-spot) or outputs (other "
        "nets).",
    )
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
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
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

    steps: int = shared.STEPS(250, help_text="Steps of Adam.")
    z: Literal["enlarged", "noise"] = knob(
        "enlarged",
        "The network's input: random numbers as published, or beside them the image enlarged by "
        "splines.",
    )
    net: str = shared.NET("skip")
    stop: shared.Rule = shared.STOP_OR_VARIANCE(
        "never",
        help_text="What chooses the step: pixels held out, the moving variance of outputs, "
        "nothing.",
    )
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
    ``flash`` takes it as the input z of the published network, for noise that neighbouring pixels
    share, as in photographs; ``paper`` is that fit at its published size."""

    method: ClassVar[str] = "guided"
    title: ClassVar[str] = "Guided restoration"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {},
        "flash": {
            "net": "skip",
            "steps": 300,
            "learning_rate": 0.01,
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

    steps: int = shared.STEPS(800)
    net: str = shared.NET(
        BLIND_SPOT,
        help_text="Network: blind-spot sees the image around each pixel and the guide; the others "
        "the guide only.",
        choices=blind_spot_or_guided,
    )
    stop: shared.Rule = shared.STOP_OR_VARIANCE(
        "held-out",
        help_text="What chooses the step: the error on hidden pixels, the variance of outputs "
        "(not for blind-spot), or nothing.",
    )
    scales: int = shared.SCALES(5, help_text="Halvings of skip, resunet and unet.")
    jitter: float = shared.JITTER(
        1 / 30, help_text="Standard deviation of the noise that shakes the guide in every step."
    )


class Invert(NetworkOfZ):
    """How an image with given features is found: the network is fitted to the features."""

    method: ClassVar[str] = "invert"
    title: ClassVar[str] = "Feature inversion"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {},
        "paper": {"steps": 3000, "averaging": 0.99, "channels": 128, "schedule": "constant"},
    }

    steps: int = shared.STEPS(600, help_text="Steps of Adam.")
    net: str = shared.NET("skip")
    stop: shared.Rule = shared.STOP_OR_VARIANCE(
        "never",
        help_text="What chooses the step: features held out, the moving variance of outputs, "
        "nothing.",
        basic=False,
    )
    input_channels: int = shared.INPUT_CHANNELS(32)
