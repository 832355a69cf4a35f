"""The settings of blind-spot denoising, the default."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings import shared
from napari_dip.settings.base import FitSettings, knob

WARM_SHARE = 4  # a fit that starts from the plane before takes a quarter of the steps
WARM_LEAST = 50  # but not fewer than these: the rate rises over the first 20


class BlindSpot(FitSettings):
    """Blind-spot denoising: each pixel is predicted from those around it.

    A network learns that from the one noisy image. The pixel itself is hidden from it, so that its
    noise cannot be copied; how far the prediction is to be trusted is learnt too, and the measured
    pixel is weighed in accordingly.

    References
    ----------
    Laine, Karras, Lehtinen and Aila, High-Quality Self-Supervised Deep Image Denoising, NeurIPS
    2019, arXiv:1901.10277. Krull, Buchholz and Jug, Noise2Void, CVPR 2019, arXiv:1811.10980. Batson
    and Royer, Noise2Self, ICML 2019, arXiv:1901.11365. Wu, Liu, Cao, Ren and Zuo, Unpaired Learning
    of Deep Image Denoising, ECCV 2020, arXiv:2008.13711.
    """

    method: ClassVar[str] = "blind-spot"
    title: ClassVar[str] = "Blind spot"
    summary: ClassVar[str] = "Quick, recommended: predicts each pixel from its neighbours."

    steps: int = shared.STEPS(400)
    stop: Literal["held-out", "never"] = shared.STOP("held-out")
    patience: int = shared.PATIENCE(150)
    held_out_share: float = shared.HELD_OUT_SHARE(0.05)
    stabilise: bool = shared.STABILISE(True)
    hot_pixels: shared.HotPixels = shared.HOT_PIXELS("auto")
    learning_rate: float = shared.LEARNING_RATE(0.006)
    schedule: shared.Schedule = shared.SCHEDULE("linear")
    averaging: float = shared.AVERAGING(0.97)
    channels: int = shared.CHANNELS(24)
    layers: int = shared.LAYERS(4)
    crop: int = shared.CROP(32)
    batch: int = shared.BATCH(4)
    through_stack: Literal["warm", "apart"] = knob(
        "warm",
        "Planes of a stack: warm starts a plane from the network of the one before, with a "
        "quarter of the steps, where that network predicts it better than a blur; apart fits each "
        "by itself.",
    )
    neighbours: int = shared.NEIGHBOURS(2)
    restarts: int = shared.RESTARTS(1)
    uncertainty: Literal["none", "predicted", "restarts", "iterates"] = knob(
        "none",
        "A standard deviation for every pixel: its expected error as predicted, or the spread "
        "over restarts or over late iterates, which is far smaller.",
    )

    def with_uncertainty(self) -> Self:
        """Return these settings with the predicted standard deviation, where they name none."""
        chosen = "predicted" if self.uncertainty == "none" else self.uncertainty
        return self.model_copy(update={"uncertainty": chosen})

    @property
    def warm_steps(self) -> int:
        """Steps of a fit that starts from the plane before."""
        return max(self.steps // WARM_SHARE, min(self.steps, WARM_LEAST))

    @model_validator(mode="after")
    def _has_restarts(self) -> Self:
        if self.uncertainty == "restarts" and self.restarts < 2:
            raise ValueError(
                "uncertainty 'restarts' needs 2 or more restarts; take that, or uncertainty "
                "'predicted'"
            )
        return self
