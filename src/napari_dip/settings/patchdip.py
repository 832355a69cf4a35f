"""The settings of PatchDIP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings.base import Settings, knob


class PatchDIP(Settings):
    """PatchDIP: one untrained network fitted to all overlapping patches of the noisy image.

    The preset ``fast`` (the default) starts at a calibrated blur and learns how to average where; ``paper`` fits the
    network's output itself, as published, with the constants of the Deep Image Prior where that paper names none.

    References
    ----------
    Asim, Shamshad and Ahmed, Patch DIP: Exploiting Patch Redundancy in Deep Image Prior for Denoising, 2019.
    """

    method: ClassVar[str] = "patchdip"
    title: ClassVar[str] = "PatchDIP"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {},
        "paper": {
            "start": "random",
            "steps": 3000,
            "patience": 1000,
            "stabilise": False,
            "learning_rate": 0.01,
            "schedule": "constant",
            "averaging": 0.95,
            "channels": 128,
            "scales": 5,
        },
    }

    steps: int = knob(
        400,
        "Steps of Adam at most; the stopping rule may end the fit earlier.",
        unit="steps",
        ge=1,
        le=1_000_000,
        basic=True,
    )
    start: Literal["blur", "random"] = knob(
        "blur",
        "What the fit starts at: a calibrated blur, whose weights the network then changes from place to place, or "
        "random patches, the network's own output, as published.",
    )
    spacing: int = knob(
        8,
        "From one place where the network sets the weights to the next (start blur).",
        unit="pixels",
        ge=1,
        le=4096,
    )
    net: Literal["skip", "resnet", "resunet", "decoder", "unet"] = knob(
        "skip", "Network that turns the random z of a patch into the patch."
    )
    patch: int = knob(64, "Side of the square patches.", unit="pixels", ge=8, le=4096)
    stride: int = knob(
        32, "From one patch to the next; at most the side of a patch.", unit="pixels", ge=1, le=4096
    )
    batch: int = knob(4, "Patches a step.", ge=1, le=4096)
    stop: Literal["held-out", "never"] = knob(
        "held-out", "What chooses the step: the error on hidden pixels, or nothing.", basic=True
    )
    patience: int = knob(150, "Steps without improvement before the fit ends.", unit="steps", ge=1)
    held_out_share: float = knob(0.05, "Share of the pixels hidden from the loss.", ge=0, le=0.5)
    stabilise: bool = knob(
        True, "Make Poisson-Gaussian noise even before the fit, undone afterwards without bias."
    )
    learning_rate: float = knob(0.004, "Learning rate of Adam.", gt=0, le=1)
    schedule: Literal["constant", "linear"] = knob(
        "linear", "Learning rate over the steps: constant, or flat to the half and then down to 0."
    )
    averaging: float = knob(
        0.97, "Weight of the past in the exponential average of weights.", ge=0, lt=1
    )
    channels: int = knob(32, "Width of the network.", unit="channels", ge=1, le=1024)
    scales: int = knob(3, "Halvings of skip, resunet and unet, doublings of decoder.", ge=1, le=8)
    skip_channels: int = knob(4, "Channels of each skip connection (skip, resunet).", ge=1, le=1024)
    input_channels: int = knob(
        32, "Channels of the random input z (skip, resnet, resunet, unet).", ge=1, le=1024
    )
    dropout: float = knob(
        0.1,
        "Share of values dropped between the blocks of resunet while it is fitted; 0 for none.",
        ge=0,
        lt=1,
    )
    jitter: float = knob(
        0.0,
        "Standard deviation of the noise that shakes z in every step (not for decoder).",
        ge=0,
        le=10,
    )

    uncertainty: Literal["none", "iterates"] = knob(
        "none", "A standard deviation for every pixel: the spread over late iterates."
    )

    def with_uncertainty(self) -> Self:
        """Return these settings with their one source of uncertainty."""
        return self.model_copy(update={"uncertainty": "iterates"})

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.stride > self.patch:
            raise ValueError(
                f"stride {self.stride} is larger than the patch of {self.patch} pixels, which leaves gaps between "
                "patches; take a stride of at most the patch"
            )
        if self.stop == "held-out" and self.held_out_share == 0:
            raise ValueError(
                "stop 'held-out' needs hidden pixels; give held_out_share a value above 0 or take stop 'never'"
            )
        return self
