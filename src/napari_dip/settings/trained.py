"""The settings of the methods that are trained once, on a lab's own images, and applied often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import field_validator, model_validator

from napari_dip.settings import shared
from napari_dip.settings.base import Presets, Retired, Settings, knob

Start = Literal["blind-spot", "blur", "zero"]
START = shared.shared(
    "What the U-Net corrects: an averaging filter that is learned first through a blind spot, a "
    "Gaussian blur, or nothing (zero).",
)


def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the names of now: files of older versions say "learned"."""
    now = dict(values)
    if now.get("start") == "learned":
        now["start"] = "blind-spot"
    return now


class Trained(Settings):
    """What the trained methods share: network, crops, schedule and budget, to compare them."""

    steps: int = knob(4500, "Steps of Adam.", unit="steps", ge=1, le=100_000_000, basic=True)
    batch: int = knob(4, "Crops a step.", ge=1, le=4096)
    crop: int = knob(64, "Side of the square crops.", unit="pixels", ge=16, le=4096)
    learning_rate: float = shared.LEARNING_RATE(0.001)
    schedule: shared.Schedule = shared.SCHEDULE("linear")
    beta2: float = knob(
        0.99,
        "Adam's weight of the past in the mean of squared gradients; nearer to 1, trainings may "
        "run away.",
        ge=0,
        lt=1,
    )
    clip: float = knob(
        1.0,
        "The longest gradient that is believed; longer ones are shortened to it. 0 for no limit.",
        ge=0,
    )
    channels: int = shared.CHANNELS(32, help_text="Width of the U-Net at full size.", basic=True)
    depth: int = knob(
        2, "How many times the U-Net halves the image, after `unshuffle`.", ge=0, le=6
    )
    unshuffle: int = knob(
        2,
        "Side of the squares of pixels that the U-Net takes as channels of one pixel; with 2 it "
        "takes a quarter of the time, and fine structure comes from what it corrects.",
        unit="pixels",
        ge=1,
        le=8,
    )
    neighbours: int = knob(
        0,
        "Planes before, and as many after, that the network sees beside each, along T or else Z; "
        "from 1 on, training and applying need stacks of 2 n + 1 planes or more.",
        unit="planes",
        ge=0,
        le=2,
        basic=True,
    )
    start: Start = START("zero")
    blur: float = knob(
        1.0, "Standard deviation of the Gaussian blur.", unit="pixels", ge=0.3, le=16
    )
    box: int = knob(
        0,
        "Side of the squares whose mean takes the place of the Gaussian blur; odd, 0 for none.",
        unit="pixels",
        ge=0,
        le=31,
    )
    filter_share: float = knob(
        0.9,
        "Share of the steps in which the averaging filter is learned (start blind-spot).",
        gt=0,
        lt=1,
    )
    filter_learning_rate: float = knob(0.003, "Learning rate of the averaging filter.", gt=0, le=1)
    filter_channels: int = shared.CHANNELS(32, help_text="Width of the averaging filter's network.")
    filter_layers: int = knob(
        4, "Dilated layers of the averaging filter: it sees 17 pixels far or more.", ge=0, le=64
    )
    stabilise: bool = knob(
        True, "Make Poisson-Gaussian noise even first; measured on every image for itself."
    )
    hot_pixels: shared.HotPixels = shared.HOT_PIXELS("auto")
    averaging: float = shared.AVERAGING(0.99)
    held_out_share: float = shared.HELD_OUT_SHARE(
        0.05, help_text="Share of the pixels kept for the validation curve."
    )
    colours: Literal["apart", "together"] = knob(
        "apart", "The colours of RGB one by one, for a model that fits any image, or together."
    )
    orientations: Literal[1, 2, 4, 8] = knob(
        1, "Flips and quarter turns averaged when the model is applied."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_names_of_now(cls, values: Any) -> Any:
        return renamed(values) if isinstance(values, Mapping) else values

    @field_validator("orientations", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """Take the text of a flag: pydantic turns no texts into a choice of numbers."""
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @field_validator("box")
    @classmethod
    def _has_a_middle(cls, value: int) -> int:
        if value and value % 2 == 0:
            raise ValueError("a square around a pixel has an odd side; take 0 or an odd number")
        return value

    @property
    def filter_steps(self) -> int:
        """Steps in which the averaging filter is learned, before the method's own."""
        return int(self.filter_share * self.steps) if self.start == "blind-spot" else 0


class IDDP(Trained):
    """Implicit Deep Denoiser Prior: a U-Net trained on noisy images alone, by its own answers.

    The preset ``fast`` (the default) is stable and quick. Its start is an averaging filter that is
    learned through a blind spot, and takes 9 of 10 steps (`filter_share`): a tenth of the steps is
    the method's own. ``paper`` has the published constants, all steps its own, for millions of
    them.

    References
    ----------
    Lin et al., Self-Supervised Image Denoising Using Implicit Deep Denoiser Prior.
    """

    method: ClassVar[str] = "iddp"
    title: ClassVar[str] = "Implicit Deep Denoiser Prior"
    summary: ClassVar[str] = "Recommended: learns from noisy images alone."
    retired: ClassVar[Retired] = {
        "block": (1, "noise that pixels share has a network of its own, with start 'blind-spot'")
    }
    presets: ClassVar[Presets] = {
        "fast": {},
        "paper": {
            "steps": 2_000_000,
            "batch": 1,
            "crop": 128,
            "learning_rate": 2e-4,
            "schedule": "to-zero",
            "beta2": 0.999,
            "clip": 0.0,
            "alpha": 0.001,
            "box": 3,
            "known_level": False,
            "start": "zero",
            "stabilise": False,
            "averaging": 0.0,
            "depth": 4,
            "unshuffle": 1,
        },
    }

    start: Start = START("blind-spot")
    alpha: float = knob(
        0.15,
        "Weight of the blur term; above 1/8 the network cannot fall to passing noise through.",
        ge=0,
        le=100,
    )
    gain: float = knob(1.0, "Factor on the noise that is drawn again.", gt=0, le=10)
    known_level: bool = knob(
        True, "Bring the noise that is drawn again up to the level that was measured."
    )
    target: Literal["blur", "image", "image-alone"] = knob(
        "blur",
        "What alpha draws the answer to: the blurred image (Eq. 11) or the noisy one (Eq. 9); "
        "image-alone fits the noisy one and draws no noise again (Eq. 4, Figure 1).",
    )
    stop_gradient: bool = knob(
        True, "Take the network's answer as given where the noise is drawn again."
    )


class N2V(Trained):
    """Noise2Void: pixels are hidden and predicted from the others.

    References
    ----------
    Krull, Buchholz and Jug, Noise2Void, CVPR 2019, arXiv:1811.10980.
    """

    method: ClassVar[str] = "n2v"
    title: ClassVar[str] = "Noise2Void"
    summary: ClassVar[str] = "Noisy images alone: hidden pixels are predicted."

    hidden_share: float = knob(0.02, "Share of the pixels hidden in a crop.", gt=0, le=0.5)
    radius: int = knob(
        2, "How far a hidden pixel's replacement is taken from.", unit="pixels", ge=1, le=32
    )


class Nb2Nb(Trained):
    """Neighbor2Neighbor: two halves of an image, made of neighbouring pixels, predict each other.

    References
    ----------
    Huang, Li, Jia, Lu and Liu, Neighbor2Neighbor, CVPR 2021, arXiv:2101.02824.
    """

    method: ClassVar[str] = "nb2nb"
    title: ClassVar[str] = "Neighbor2Neighbor"
    summary: ClassVar[str] = "Noisy images alone: one half of the pixels predicts the other."

    gamma: float = knob(2.0, "Weight of the regulariser at the end; it grows from 0.", ge=0, le=100)


class N2N(Trained):
    """Noise2Noise: two captures of one scene predict each other.

    References
    ----------
    Lehtinen et al., Noise2Noise, ICML 2018, arXiv:1803.04189.
    """

    method: ClassVar[str] = "n2n"
    title: ClassVar[str] = "Noise2Noise"
    summary: ClassVar[str] = "Two noisy captures: of each scene, that predict each other."


class Supervised(Trained):
    """A U-Net trained on pairs of a noisy and a clean image."""

    method: ClassVar[str] = "supervised"
    title: ClassVar[str] = "Supervised U-Net"
    summary: ClassVar[str] = "Noisy and clean images: pairs of them are needed."
