"""The settings of the Deep Image Prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from napari_dip.settings.base import knob
from napari_dip.settings.prior import BlindSpotSettings, RandomInput


class DIP(BlindSpotSettings, RandomInput):
    """Deep Image Prior: an untrained network fitted to the one noisy image.

    The preset ``fast`` (the default) looks at the image through a blind spot; ``paper`` is the fit as published, with a
    rule that only chooses among its iterates.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925.
    """

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
    through_stack: Literal["warm", "apart"] = knob(
        "warm",
        "Planes of a stack: warm starts a plane from the network of the one before, with a quarter of the steps, where "
        "that network predicts it better than a blur; apart fits each by itself (blind-spot).",
    )
    restarts: int = knob(
        1, "Fits from other random weights, side by side; the answer is their average.", ge=1, le=64
    )
    uncertainty: Literal["none", "predicted", "restarts", "iterates", "dropout"] = knob(
        "none",
        "A standard deviation for every pixel: as the blind-spot network predicts it, or the spread over restarts, "
        "over late iterates, or over dropout masks (resunet).",
    )

    def with_uncertainty(self) -> Self:
        """Return these settings with the source of uncertainty that suits them, where they name none."""
        if self.uncertainty != "none":
            return self
        source = (
            "predicted"
            if self.net == "blind-spot"
            else "restarts"
            if self.restarts > 1
            else "iterates"
        )
        return self.model_copy(update={"uncertainty": source})

    @model_validator(mode="after")
    def _can_say(self) -> Self:
        needs = {
            "predicted": (self.net == "blind-spot", "net 'blind-spot'"),
            "restarts": (self.restarts > 1, "2 or more restarts"),
            "dropout": (
                self.net == "resunet" and self.dropout > 0,
                "net 'resunet' with a dropout above 0",
            ),
        }
        fits, wanted = needs.get(self.uncertainty, (True, ""))
        if not fits:
            raise ValueError(
                f"uncertainty {self.uncertainty!r} needs {wanted}; take that, or uncertainty 'iterates'"
            )
        return self
