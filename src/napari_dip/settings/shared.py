"""The knobs that several methods have: each method gives its default, all else stands once.

``steps: int = STEPS(800)`` declares a knob in a Settings class.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from napari_dip.settings.base import knob
from napari_dip.settings.network_registry import any_network

Schedule = Literal["constant", "linear", "to-zero"]
Rule = Literal["held-out", "variance", "never"]
HotPixels = Literal["auto", "keep"]


def shared(help_text: str, **more: Any) -> Callable[..., Any]:
    """Return what declares a knob, given its default; all else can be given anew."""
    return partial(knob, help_text=help_text, **more)


STEPS = shared(
    "Steps of Adam at most; a stopping rule may end the fit earlier.",
    unit="steps",
    ge=1,
    le=1_000_000,
    basic=True,
)
NET = shared("Network that turns z into the image; skip is the published one.", choices=any_network)
STOP = shared("What chooses the step: the error on hidden pixels, or nothing.", basic=True)
STOP_OR_VARIANCE = shared(
    "What chooses the step: the error on what is hidden from the loss, the moving variance of "
    "outputs (networks of z only), or nothing.",
    basic=True,
)
PATIENCE = shared("Steps without improvement before the fit ends.", unit="steps", ge=1)
HELD_OUT_SHARE = shared("Share of the pixels hidden from the loss.", ge=0, le=0.5)
STABILISE = shared(
    "Make Poisson-Gaussian noise even before the fit, undone afterwards without bias."
)
HOT_PIXELS = shared(
    "Hot and dead pixels: auto replaces those it finds by the median around; keep leaves all as "
    "measured, for single pixels that are signal."
)
LEARNING_RATE = shared("Learning rate of Adam.", gt=0, le=1)
SCHEDULE = shared(
    "Learning rate over the steps: constant, or flat to the half and then down: linear rises over "
    "20 steps and ends at a fiftieth, to-zero does neither."
)
AVERAGING = shared(
    "Weight of the past in the exponential average of weights, or of outputs of networks of z.",
    ge=0,
    lt=1,
)
CHANNELS = shared("Width of the network; of pyramid at full size.", unit="channels", ge=1, le=1024)
SCALES = shared("Halvings of skip, pyramid, resunet and unet, doublings of decoder.", ge=1, le=8)
SKIP_CHANNELS = shared("Channels of each skip connection (skip, pyramid, resunet).", ge=1, le=1024)
INPUT_CHANNELS = shared("Channels of the random input z (not for decoder).", ge=1, le=1024)
DROPOUT = shared(
    "Share of values dropped inside pyramid and resunet while they are fitted; 0 for none.",
    ge=0,
    lt=1,
)
JITTER = shared(
    "Standard deviation of the noise that shakes z in every step (not for decoder).", ge=0, le=10
)
BACKTRACK = shared("Go back 50 steps when the fit gets suddenly worse.")
LAYERS = shared("Dilated layers of the network: it sees 1 + 2 x layers pixels far.", ge=0, le=64)
CROP = shared("Side of the square crops that the network is fitted to.", unit="pixels", ge=8)
BATCH = shared("Crops a step.", ge=1, le=1024)
NEIGHBOURS = shared(
    "Planes of a stack before, and as many after, along T and along Z that may help to predict a "
    "plane; those that do not are left out.",
    unit="planes",
    ge=0,
    le=2,
)
RESTARTS = shared(
    "Fits from other random weights, side by side; the answer is their average.", ge=1, le=64
)
