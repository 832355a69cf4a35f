"""`Method` and `TrainedMethod`: what there is to know about a method, in one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Literal

from napari_dip.settings import Settings, Trained


@dataclass(frozen=True)
class Method:
    """A method that is fitted to the image itself, to denoise or to restore it.

    Attributes
    ----------
    settings : type of Settings
        Its settings; ``settings.method`` is its name.
    fit : str
        ``"module:function"``. The function takes a `napari_dip.engine.plane.Plane` and the
        settings, and yields the `napari_dip.engine.loop.Step` s of the fit of that plane.
    bytes_per_pixel : callable, optional
        Takes the settings and the number of channels, returns the bytes of memory that a fit needs
        for each pixel. Where a plane needs more than there is, it is fitted in tiles. Without it a
        plane is always fitted whole.
    warm_steps : callable
        Takes the settings, returns the steps of a fit that starts from that of the plane before in
        a stack; 0 where each plane is fitted by itself. Only stacks of such planes are divided
        among workers.
    needs_noise : bool
        Whether a plane in which no noise can be measured is left as it is.
    knows_correlation : bool
        Whether it deals with noise that neighbouring pixels share, see `Plane.correlation`, and
        that is stronger in some places, see `Plane.variance`.
    fits_jointly : bool
        Whether planes that help are fitted together with the plane, as more channels of one image,
        where the settings have `neighbours`; else the function is given them, see `Plane.others`.
    prepare : str
        Of a restoration: ``"module:function"`` that takes its options as plain values, such as the
        path of a mask, and returns what a run over files needs, see `napari_dip.batch.task.Task`.
    """

    settings: type[Settings]
    fit: str
    bytes_per_pixel: Callable[[Any, int], float] | None = None
    warm_steps: Callable[[Any], int] = lambda settings: 0
    needs_noise: bool = True
    knows_correlation: bool = False
    fits_jointly: bool = False
    prepare: str = ""

    def function(self) -> Callable[..., Any]:
        """Import the function and return it."""
        function: Callable[..., Any] = resolve_name(self.fit)
        return function


@dataclass(frozen=True)
class TrainedMethod:
    """A method that trains a network once, to be applied to many images.

    Attributes
    ----------
    settings : type of Trained
        Its settings.
    loss : str
        ``"module:function"``, see `napari_dip.training.losses.iddp.loss`.
    target : {"", "capture", "clean"}
        What it needs beside each noisy image: nothing, a second capture, or the clean image.
    beside : str
        ``"module:function"`` that takes the settings and the number of colours, and returns a
        network that is trained with the model's and is no part of the model; as
        ``BlurredUNet.beside`` the loss has it.
    """

    settings: type[Trained]
    loss: str
    target: Literal["", "capture", "clean"] = ""
    beside: str = ""

    def function(self) -> Callable[..., Any]:
        """Import the loss and return it."""
        function: Callable[..., Any] = resolve_name(self.loss)
        return function
