"""The settings that denoising by a Deep Image Prior shares with the restorations.

Each fit takes of them what it uses, so that no form, flag or record names a knob that turns nothing.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings.base import Settings, knob


class PriorSettings(Settings):
    """What every fit of a network of z shares: the network, the optimiser, and what chooses the step."""

    method: ClassVar[str] = "dip"

    net: str
    stop: Literal["held-out", "variance", "never"]
    patience: int = knob(300, "Steps without improvement before the fit ends.", unit="steps", ge=1)
    held_out_share: float = knob(0.05, "Share of the pixels hidden from the loss.", ge=0, le=0.5)
    learning_rate: float = knob(0.01, "Learning rate of Adam.", gt=0, le=1)
    schedule: Literal["constant", "linear"] = knob(
        "linear", "Learning rate over the steps: constant, or flat to the half and then down to 0."
    )
    averaging: float = knob(
        0.98, "Weight of the past in the exponential average of outputs.", ge=0, lt=1
    )
    channels: int = knob(32, "Width of the network.", unit="channels", ge=1, le=1024)
    scales: int = knob(5, "Halvings of skip, resunet and unet, doublings of decoder.", ge=1, le=8)
    skip_channels: int = knob(4, "Channels of each skip connection (skip, resunet).", ge=1, le=1024)
    dropout: float = knob(
        0.1,
        "Share of values dropped between the blocks of resunet while it is fitted; 0 for none.",
        ge=0,
        lt=1,
    )
    jitter: float = knob(
        1 / 30,
        "Standard deviation of the noise that shakes z in every step (not for decoder).",
        ge=0,
        le=10,
    )
    backtrack: bool = knob(
        True, "Go back 50 steps when the fit gets suddenly worse (not for blind-spot)."
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.stop == "variance" and (
            self.net == "blind-spot" or (self.net == "resunet" and self.dropout)
        ):
            raise ValueError(
                "stop 'variance' watches every output, which the blind-spot network and dropout do not give; "
                "take net 'skip' or stop 'held-out'"
            )
        if self.stop == "held-out" and self.held_out_share == 0:
            raise ValueError(
                "stop 'held-out' needs hidden pixels; give held_out_share a value above 0 or take stop 'never'"
            )
        return self


class BlindSpotSettings(PriorSettings):
    """What a fit that can also look at the image itself, around a blind spot, asks for beside."""

    stabilise: bool = knob(
        True, "Make Poisson-Gaussian noise even before the fit, undone afterwards without bias."
    )
    learning_rate: float = knob(0.004, "Learning rate of Adam.", gt=0, le=1)
    averaging: float = knob(
        0.98,
        "Weight of the past in the exponential average of weights (blind-spot) or outputs (other nets).",
        ge=0,
        lt=1,
    )
    layers: int = knob(
        4,
        "Dilated layers of the blind-spot network: it sees 1 + 2 x layers pixels far.",
        ge=0,
        le=64,
    )
    crop: int = knob(
        32,
        "Side of the square crops that the blind-spot network is fitted to.",
        unit="pixels",
        ge=8,
    )
    batch: int = knob(4, "Crops a step for the blind-spot network.", ge=1, le=1024)


class RandomInput(Settings):
    """What a fit whose z can be random asks for beside."""

    input_channels: int = knob(
        32, "Channels of the random input z (skip, resnet, resunet, unet).", ge=1, le=1024
    )
