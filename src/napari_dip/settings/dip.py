"""The settings of the Deep Image Prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings.base import Settings, knob


class DIP(Settings):
    """Deep Image Prior: an untrained network fitted to the one noisy image.

    The preset ``fast`` (the default) looks at the image through a blind spot; ``paper`` is the fit as published, with a
    rule that only chooses among its iterates.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925.
    """

    method: ClassVar[str] = "dip"
    title: ClassVar[str] = "Deep Image Prior"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {},
        "paper": {
            "net": "skip",
            "steps": 3000,
            "learning_rate": 0.01,
            "schedule": "constant",
            "stabilise": False,
            "stop": "held-out",
            "patience": 1000,
            "held_out_share": 0.05,
            "averaging": 0.99,
            "channels": 128,
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
    net: Literal["blind-spot", "skip", "resnet", "resunet", "decoder", "unet"] = knob(
        "blind-spot",
        "Network: blind-spot sees the image around each pixel; the others turn random z into an image, of which skip "
        "is the published one.",
    )
    stop: Literal["held-out", "variance", "never"] = knob(
        "held-out",
        "What chooses the step: the error on hidden pixels, the variance of outputs (not for blind-spot), or nothing.",
        basic=True,
    )
    patience: int = knob(300, "Steps without improvement before the fit ends.", unit="steps", ge=1)
    held_out_share: float = knob(0.05, "Share of the pixels hidden from the loss.", ge=0, le=0.5)
    stabilise: bool = knob(True, "Make Poisson-Gaussian noise even before the fit, undone afterwards without bias.")
    learning_rate: float = knob(0.004, "Learning rate of Adam.", gt=0, le=1)
    schedule: Literal["constant", "linear"] = knob(
        "linear", "Learning rate over the steps: constant, or flat to the half and then down to 0."
    )
    averaging: float = knob(
        0.98,
        "Weight of the past in the exponential average of weights (blind-spot) or outputs (other nets).",
        ge=0,
        lt=1,
    )
    channels: int = knob(32, "Width of the network.", unit="channels", ge=1, le=1024)
    layers: int = knob(4, "Dilated layers of the blind-spot network: it sees 1 + 2 x layers pixels far.", ge=0, le=64)
    crop: int = knob(32, "Side of the square crops that the blind-spot network is fitted to.", unit="pixels", ge=8)
    batch: int = knob(4, "Crops a step for the blind-spot network.", ge=1, le=1024)
    scales: int = knob(5, "Halvings of skip, resunet and unet, doublings of decoder.", ge=1, le=8)
    skip_channels: int = knob(4, "Channels of each skip connection (skip, resunet).", ge=1, le=1024)
    input_channels: int = knob(32, "Channels of the random input z (skip, resnet, resunet, unet).", ge=1, le=1024)
    dropout: float = knob(
        0.1, "Share of values dropped between the blocks of resunet while it is fitted; 0 for none.", ge=0, lt=1
    )
    jitter: float = knob(
        1 / 30, "Standard deviation of the noise that shakes z in every step (not for decoder).", ge=0, le=10
    )
    backtrack: bool = knob(True, "Go back 50 steps when the fit gets suddenly worse (not for blind-spot).")

    restarts: int = knob(
        1, "Fits from other random weights, side by side; the answer is their average (denoising only).", ge=1, le=64
    )
    uncertainty: Literal["none", "predicted", "restarts", "iterates", "dropout"] = knob(
        "none",
        "A standard deviation for every pixel: as the blind-spot network predicts it, or the spread over restarts, "
        "over late iterates, or over dropout masks (resunet); for denoising only.",
    )

    def with_uncertainty(self) -> Self:
        """Return these settings with the source of uncertainty that suits them, where they name none."""
        if self.uncertainty != "none":
            return self
        source = "predicted" if self.net == "blind-spot" else "restarts" if self.restarts > 1 else "iterates"
        return self.model_copy(update={"uncertainty": source})

    @model_validator(mode="after")
    def _can_say(self) -> Self:
        needs = {
            "predicted": (self.net == "blind-spot", "net 'blind-spot'"),
            "restarts": (self.restarts > 1, "2 or more restarts"),
            "dropout": (self.net == "resunet" and self.dropout > 0, "net 'resunet' with a dropout above 0"),
        }
        fits, wanted = needs.get(self.uncertainty, (True, ""))
        if not fits:
            raise ValueError(f"uncertainty {self.uncertainty!r} needs {wanted}; take that, or uncertainty 'iterates'")
        return self

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.stop == "variance" and (self.net == "blind-spot" or (self.net == "resunet" and self.dropout)):
            raise ValueError(
                "stop 'variance' watches every output, which the blind-spot network and dropout do not give; "
                "take net 'skip' or stop 'held-out'"
            )
        if self.stop == "held-out" and self.held_out_share == 0:
            raise ValueError(
                "stop 'held-out' needs hidden pixels; give held_out_share a value above 0 or take stop 'never'"
            )
        return self
