"""The settings of the Deep Image Prior."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from napari_dip.settings import shared
from napari_dip.settings.base import FitSettings, Presets, knob
from napari_dip.settings.network_registry import NETWORKS

NOW_BLIND_SPOT = (
    "the blind-spot network is a method of its own now: take BlindSpot() in Python, or the method "
    "blind-spot, which is the default"
)


class NetworkOfZ(FitSettings):
    """What every fit of a network of z shares, be it to denoise or to restore."""

    net: str
    stop: shared.Rule
    patience: int = shared.PATIENCE(300)
    held_out_share: float = shared.HELD_OUT_SHARE(0.05)
    hot_pixels: shared.HotPixels = shared.HOT_PIXELS("auto")
    learning_rate: float = shared.LEARNING_RATE(0.01)
    schedule: shared.Schedule = shared.SCHEDULE("linear")
    averaging: float = shared.AVERAGING(0.98)
    channels: int = shared.CHANNELS(32)
    scales: int = shared.SCALES(5)
    skip_channels: int = shared.SKIP_CHANNELS(4)
    dropout: float = shared.DROPOUT(0.1)
    jitter: float = shared.JITTER(1 / 30)
    backtrack: bool = shared.BACKTRACK(True)

    @property
    def evaluation_mode(self) -> bool:
        """Whether the network drops values while it is fitted."""
        return self.net in NETWORKS and NETWORKS[self.net].evaluation_mode and self.dropout > 0

    @model_validator(mode="after")
    def _gives_every_output(self) -> Self:
        if self.stop == "variance" and (self.net not in NETWORKS or self.evaluation_mode):
            raise ValueError(
                "stop 'variance' watches every output, which the blind-spot network and dropout "
                "do not give; take net 'skip' or stop 'held-out'"
            )
        return self


class DIP(NetworkOfZ):
    """Deep Image Prior: an untrained network turns random numbers into the image.

    It learns structure before noise, and is stopped in between.

    ``paper`` is the fit as published, but that 5% of the pixels are hidden from the loss, to choose
    the step. The preset ``fast`` (the default) is for waiting at the screen: the noise is made even
    first, the network is narrow and drops values, the answer is the average of such outputs and of
    two fits, and the measured image is weighed in by how much of it the fit has left out.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925.
    Quan, Chen, Pang and Ji, Self2Self With Dropout, CVPR 2020, doi:10.1109/CVPR42600.2020.00196
    (averages of outputs with values dropped).
    """

    method: ClassVar[str] = "dip"
    title: ClassVar[str] = "Deep Image Prior"
    summary: ClassVar[str] = "Slower: an untrained network makes the image out of random numbers."
    presets: ClassVar[Presets] = {
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
            "input_channels": 32,
            "jitter": 1 / 30,
            "dropout": 0.1,
            "weigh": False,
            "restarts": 1,
            "neighbours": 0,
        },
    }

    steps: int = shared.STEPS(1000)
    net: str = shared.NET("pyramid")
    stop: shared.Rule = shared.STOP_OR_VARIANCE("held-out")
    stabilise: bool = shared.STABILISE(True)
    patience: int = shared.PATIENCE(200)
    learning_rate: float = shared.LEARNING_RATE(0.02)
    channels: int = shared.CHANNELS(16)
    dropout: float = shared.DROPOUT(0.2)
    jitter: float = shared.JITTER(0.003)
    input_channels: int = shared.INPUT_CHANNELS(16)
    weigh: bool = knob(
        True,
        "Weigh the answer against the measured pixels, by how much of them it has left out; the "
        "hidden pixels tell that.",
    )
    neighbours: int = shared.NEIGHBOURS(1)
    restarts: int = shared.RESTARTS(2)
    uncertainty: Literal["none", "restarts", "iterates", "dropout"] = knob(
        "none",
        "A standard deviation for every pixel: the spread over restarts, over late iterates, or "
        "over dropout masks (resunet).",
    )

    def with_uncertainty(self) -> Self:
        """Return these settings with a source of uncertainty, where they name none."""
        if self.uncertainty != "none":
            return self
        source = "restarts" if self.restarts > 2 else "iterates"  # two answers make no map
        return self.model_copy(update={"uncertainty": source})

    @field_validator("net", mode="before")
    @classmethod
    def _is_of_z(cls, value: object) -> object:
        if value == "blind-spot":
            raise ValueError(NOW_BLIND_SPOT)
        return value

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        needs = {
            "restarts": (self.restarts > 1, "2 or more restarts"),
            "dropout": (self.evaluation_mode, "net 'resunet' with a dropout above 0"),
        }
        fits, wanted = needs.get(self.uncertainty, (True, ""))
        if not fits:
            raise ValueError(
                f"uncertainty {self.uncertainty!r} needs {wanted}; take that, or uncertainty "
                "'iterates'"
            )
        return self
