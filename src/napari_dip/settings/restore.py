"""The settings of the restorations: what each uses of the Deep Image Prior's, with defaults and presets of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings.base import knob
from napari_dip.settings.prior import BlindSpotSettings, PriorSettings, RandomInput

PriorNets = Literal["skip", "resnet", "resunet", "decoder", "unet"]


class Inpaint(BlindSpotSettings, RandomInput):
    """How missing pixels are filled.

    The preset ``fast`` (the default) learns on hidden known pixels what belongs into gaps and suits scattered pixels
    and gaps up to about 20 pixels wide; ``holes`` fits the published network to the known pixels and suits larger ones.
    """

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

    steps: int = knob(1000, "Steps of Adam.", unit="steps", ge=1, le=1_000_000, basic=True)
    net: Literal["blind-spot", "skip", "resnet", "resunet", "decoder", "unet"] = knob(
        "blind-spot",
        "Network: blind-spot fills what it sees around; the others turn random z into an image, of which skip is the "
        "published one.",
    )
    stop: Literal["held-out", "variance", "never"] = knob(
        "never",
        "What chooses the step: known pixels held out, the moving variance of outputs (both not for blind-spot), or "
        "nothing.",
    )
    stabilise: bool = knob(
        False, "Make Poisson-Gaussian noise even before the fit, undone afterwards without bias."
    )
    averaging: float = knob(
        0.99,
        "Weight of the past in the average of weights (blind-spot) or outputs (other nets).",
        ge=0,
        lt=1,
    )
    layers: int = knob(6, "Residual blocks of the blind-spot network.", ge=0, le=64)
    crop: int = knob(
        48,
        "Side of the square crops that the blind-spot network is fitted to.",
        unit="pixels",
        ge=8,
    )

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if self.net == "blind-spot" and self.stop != "never":
            raise ValueError(
                f"stop {self.stop!r} needs a network of z; take net 'skip', or stop 'never'"
            )
        return self


class Upscale(PriorSettings, RandomInput):
    """How an image is enlarged: the published network, fitted so that its image made coarse is the one given."""

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

    steps: int = knob(250, "Steps of Adam.", unit="steps", ge=1, le=1_000_000, basic=True)
    z: Literal["enlarged", "noise"] = knob(
        "enlarged",
        "The network's input: random numbers as published, or beside them the image enlarged by splines.",
    )
    net: PriorNets = knob("skip", "Network that turns z into an image; skip is the published one.")
    stop: Literal["held-out", "variance", "never"] = knob(
        "never",
        "What chooses the step: pixels held out, the moving variance of outputs, nothing.",
        basic=True,
    )
    jitter: float = knob(
        0.01,
        "Standard deviation of the noise that shakes z in every step (not for decoder).",
        ge=0,
        le=10,
    )
    input_channels: int = knob(
        16, "Random channels of the input z (not for decoder).", ge=1, le=1024
    )

    @model_validator(mode="after")
    def _takes_its_z(self) -> Self:
        if self.net == "decoder" and self.z == "enlarged":
            raise ValueError(
                "net 'decoder' starts from random numbers only; take z 'noise' or net 'skip'"
            )
        return self


class Guided(BlindSpotSettings):
    """How an image is restored with the help of a guide.

    The preset ``fast`` (the default) shows the guide to the blind-spot network beside the image. ``flash`` takes it as
    the input z of the published network, for noise that neighbouring pixels share, as in photographs; ``paper`` is that
    fit at its published size.
    """

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

    steps: int = knob(
        800,
        "Steps of Adam at most; the stopping rule may end the fit earlier.",
        unit="steps",
        ge=1,
        le=1_000_000,
        basic=True,
    )
    net: Literal["blind-spot", "skip", "resnet", "resunet", "unet"] = knob(
        "blind-spot",
        "Network: blind-spot sees the image around each pixel and the guide; the others the guide only.",
    )
    stop: Literal["held-out", "variance", "never"] = knob(
        "held-out",
        "What chooses the step: the error on hidden pixels, the variance of outputs (not for blind-spot), or nothing.",
        basic=True,
    )
    scales: int = knob(5, "Halvings of skip, resunet and unet.", ge=1, le=8)
    jitter: float = knob(
        1 / 30, "Standard deviation of the noise that shakes the guide in every step.", ge=0, le=10
    )


class Invert(PriorSettings, RandomInput):
    """How an image with given features is found: the published network, fitted to the features."""

    title: ClassVar[str] = "Feature inversion"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {},
        "paper": {"steps": 3000, "averaging": 0.99, "channels": 128, "schedule": "constant"},
    }

    steps: int = knob(600, "Steps of Adam.", unit="steps", ge=1, le=1_000_000, basic=True)
    net: PriorNets = knob("skip", "Network that turns z into an image; skip is the published one.")
    stop: Literal["held-out", "variance", "never"] = knob(
        "never",
        "What chooses the step: features held out, the moving variance of outputs, nothing.",
    )
