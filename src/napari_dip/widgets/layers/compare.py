"""Noisy image, answer, or what was taken away: which layers are in view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dip.images.lazy_array import LazyArray, as_slice
from napari_dip.widgets.layers.result_layers import MIXING
from napari_dip.widgets.layers.source import Source

NOISY, DENOISED, RESIDUAL = "Noisy", "Denoised", "Residual"
VIEWS = {
    NOISY: "The image as it was. Hold N in the view to see it for as long.",
    DENOISED: "The answer.",
    RESIDUAL: "What was taken away: it should look like noise, and show nothing of the sample. "
    "Green was above the answer, pink below.",
}
LAZY_FROM = 1 << 26  # bytes of a residual that is computed where it is looked at


class Residual(LazyArray):
    """Noisy minus denoised, float32, read where it is looked at; of colours their mean."""

    def __init__(self, source: Source, layer: Any) -> None:
        self._source, self._layer = source, layer
        self.shape, self.dtype = source.shape[: len(source.index)], np.dtype(np.float32)

    def _read(self, ranges: Sequence[range]) -> NDArray[Any]:
        if self._source.rgb:
            ranges = [*ranges, range(3)]
        noisy = self._source.read(ranges)
        answer = np.asarray(self._layer.data[tuple(map(as_slice, ranges))])
        out = np.asarray(noisy, np.float32) - np.asarray(answer, np.float32)
        return out.mean(axis=-1) if self._source.rgb else out


@dataclass(eq=False)
class Shown:
    """The layers of one answer; `source` is None where it was removed, `residual` until asked."""

    origin: Source
    source: Any
    answer: Any
    was_visible: bool
    residual: Any = None


class Compare:
    """Shows one of `VIEWS` of all answers of the last start; what else there is stays as it is."""

    def __init__(self, viewer: Any) -> None:
        self.viewer, self.view = viewer, DENOISED
        self.shown: list[Shown] = []

    def add(self, origin: Source, source: Any, answer: Any) -> None:
        """Take an answer, and show it."""
        visible = bool(source is not None and source.visible)
        self.shown.append(Shown(origin, source, answer, visible))
        self.show(DENOISED)

    def clear(self) -> None:
        """Forget all answers; their residuals are removed, and the sources are shown again."""
        self.show(DENOISED)
        for one in self.shown:
            self._set(one.residual, None)
            self._set(one.source, one.was_visible)
        self.shown = []

    def forget_missing(self) -> None:
        """Forget answers whose layer is gone, such as discarded ones, and show their sources."""
        gone = [one for one in self.shown if one.answer not in self.viewer.layers]
        for one in gone:
            self._set(one.residual, None)
            self._set(one.source, one.was_visible)
        self.shown = [one for one in self.shown if one not in gone]

    def show(self, view: str) -> None:
        """Bring a view into sight."""
        self.forget_missing()
        self.view = view
        for one in self.shown:
            if view == RESIDUAL and one.residual is None:
                one.residual = self._add_residual(one)
            hides = one.source is not None and str(one.source.blending) in MIXING
            beside = view == DENOISED and one.origin.is_part and not hides
            self._set(one.source, view == NOISY or beside)
            self._set(one.answer, view == DENOISED)
            self._set(one.residual, view == RESIDUAL)

    def refresh(self) -> None:
        """Compute the residuals anew, after an answer has changed."""
        for one in self.shown:
            if one.residual is not None and one.residual in self.viewer.layers:
                one.residual.data = _residual_of(one)

    @property
    def has_residual(self) -> bool:
        """Whether each answer has the pixels of its source, so that they can be subtracted."""
        return bool(self.shown) and all(
            tuple(one.answer.data.shape) == one.origin.shape for one in self.shown
        )

    def _set(self, layer: Any, visible: bool | None) -> None:
        """Show, hide, or (None) remove a layer, where it is still there."""
        if layer is None or layer not in self.viewer.layers:
            return
        if visible is None:
            self.viewer.layers.remove(layer)
        elif layer.visible != visible:
            layer.visible = visible

    def _add_residual(self, one: Shown) -> Any:
        data, selected = _residual_of(one), self.viewer.layers.selection.active
        limit = residual_limit(data)
        look = {**one.origin.placement, "colormap": "PiYG", "contrast_limits": (-limit, limit)}
        look |= {"blending": "translucent", "rgb": False}
        made = {"metadata": {"napari_dip": {"role": "residual"}}}
        name = f"{one.origin.name}: residual"
        layer = self.viewer.add_image(data, **look, **made, name=name)
        if selected is not None:
            self.viewer.layers.selection.active = selected
        return layer


def _residual_of(one: Shown) -> Any:
    residual = Residual(one.origin, one.answer)
    return residual if residual.nbytes > LAZY_FROM else np.asarray(residual)


def residual_limit(data: Any) -> float:
    """Return what few residuals exceed, up or down, taken from one plane of a large stack."""
    plane = np.asarray(data[(data.shape[0] // 2,) * (data.ndim - 2)] if data.size > 2**24 else data)
    known = np.abs(plane[np.isfinite(plane)])
    return (float(np.percentile(known, 99.5)) if known.size else 0.0) or 1.0
