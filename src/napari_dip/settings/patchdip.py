"""The settings of PatchDIP."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings import shared
from napari_dip.settings.base import FitSettings, Presets, knob


class PatchDIP(FitSettings):
    """PatchDIP: one untrained network fitted to all overlapping patches of the noisy image.

    The preset ``fast`` (the default) starts at a calibrated blur and learns how to average where;
    ``paper`` fits the network's output itself, as published: 10,000 steps over all patches and no
    average, with the constants of the Deep Image Prior where that paper names none.

    References
    ----------
    Asim, Shamshad and Ahmed, Patch DIP: Exploiting Patch Redundancy in Deep Image Prior for
    Denoising, 2019.
    """

    method: ClassVar[str] = "patchdip"
    title: ClassVar[str] = "PatchDIP"
    summary: ClassVar[str] = "For what repeats, slow: one network for all patches of the image."
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {
            "start": "random",
            "steps": 10_000,
            "batch": 4096,
            "patience": 10_000,
            "stabilise": False,
            "learning_rate": 0.01,
            "schedule": "constant",
            "averaging": 0.0,
            "channels": 128,
            "scales": 5,
        },
    }

    steps: int = shared.STEPS(400)
    start: Literal["blur", "random"] = knob(
        "blur",
        "What the fit starts at: a calibrated blur, whose weights the network then changes from "
        "place to place, or random patches, the network's own output, as published.",
    )
    spacing: int = knob(
        8,
        "From one place where the network sets the weights to the next (start blur).",
        unit="pixels",
        ge=1,
        le=4096,
    )
    net: str = shared.NET(
        "skip", help_text="Network that turns the random z of a patch into the patch."
    )
    patch: int = knob(64, "Side of the square patches.", unit="pixels", ge=8, le=4096)
    stride: int = knob(
        32, "From one patch to the next; at most the side of a patch.", unit="pixels", ge=1, le=4096
    )
    batch: int = knob(4, "Patches a step.", ge=1, le=4096)
    stop: Literal["held-out", "never"] = shared.STOP("held-out")
    patience: int = shared.PATIENCE(150)
    held_out_share: float = shared.HELD_OUT_SHARE(0.05)
    stabilise: bool = shared.STABILISE(True)
    hot_pixels: shared.HotPixels = shared.HOT_PIXELS("auto")
    learning_rate: float = shared.LEARNING_RATE(0.004)
    schedule: shared.Schedule = shared.SCHEDULE("linear")
    averaging: float = shared.AVERAGING(0.97)
    channels: int = shared.CHANNELS(32)
    scales: int = shared.SCALES(3)
    skip_channels: int = shared.SKIP_CHANNELS(4)
    input_channels: int = shared.INPUT_CHANNELS(32)
    dropout: float = shared.DROPOUT(0.1)
    jitter: float = shared.JITTER(0.0)
    uncertainty: Literal["none", "iterates"] = knob(
        "none", "A standard deviation for every pixel: the spread over late iterates."
    )

    def with_uncertainty(self) -> Self:
        """Return these settings with their one source of uncertainty."""
        return self.model_copy(update={"uncertainty": "iterates"})

    @model_validator(mode="after")
    def _has_no_gaps(self) -> Self:
        if self.stride > self.patch:
            raise ValueError(
                f"stride {self.stride} is larger than the patch of {self.patch} pixels, which "
                "leaves gaps between patches; take a stride of at most the patch"
            )
        return self
