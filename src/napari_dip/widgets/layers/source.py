"""What a run reads from a napari layer, and how its answer becomes a layer that lies on it.

Only public attributes of a layer are read, on the main thread; `Source` carries plain values to the
worker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dip.images.axis_names import letter_of
from napari_dip.images.image import Image, guess_axes
from napari_dip.images.lazy_array import as_slice
from napari_dip.images.nearby import ALONG, places_near

LARGE_PLANE = 2048 * 2048  # pixels; of larger ones a coarser level is chosen
COLOURS = ("colormap", "contrast_limits", "gamma", "rgb", "blending", "opacity")
MADE = {"method", "settings", "unfinished", "role"}  # keys of the record of what is not raw
Index = tuple[slice, ...]
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Source:
    """The crop of a layer that a run reads, and the look of its answer.

    `axes`, `scale` and `units` are as in `Image`, with the colour axis where there is one. `look`
    has arguments of ``viewer.add_image`` that make the answer look like, and lie on, the layer.
    """

    data: Any  # one resolution level, as the layer holds it; read in the worker
    index: Index  # the crop, a slice per axis of the layer, without colour
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    name: str
    rgb: bool  # whether the last axis is colour
    look: Mapping[str, Any] = field(default_factory=dict)
    part: Mapping[str, Any] = field(default_factory=dict)  # of its file, where our reader took one

    @property
    def layer_axes(self) -> str:
        """The letters of the layer's axes, without colour."""
        return self.axes[: len(self.index)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the crop, with colour."""
        pairs = zip(self.index, self.data.shape, strict=False)
        lengths = [len(range(*part.indices(n))) for part, n in pairs]
        return (*lengths, *self.data.shape[len(lengths) :])

    @property
    def planes(self) -> int:
        """How many planes the crop has; a colour image is one."""
        pairs = zip(self.layer_axes, self.shape, strict=False)
        return math.prod(n for letter, n in pairs if letter not in "YX")

    def plane_index(self, number: int) -> tuple[int | slice, ...]:
        """Return where a plane lies in the crop, by its number in the order of storage."""
        letters = self.layer_axes
        along = [n for letter, n in zip(letters, self.shape, strict=False) if letter not in "YX"]
        places = iter(np.unravel_index(number, along)) if along else iter(())
        return tuple(slice(None) if letter in "YX" else int(next(places)) for letter in letters)

    def plane_at(self, point: Sequence[float]) -> int:
        """Return the number of the plane that a point of the answer's layer lies in."""
        pairs = zip(self.layer_axes, self.shape, point, strict=False)
        along = [(n, min(max(round(float(x)), 0), n - 1)) for a, n, x in pairs if a not in "YX"]
        places, lengths = [place for _, place in along], [n for n, _ in along]
        return int(np.ravel_multi_index(places, lengths)) if along else 0

    def read(self, ranges: Sequence[range]) -> NDArray[Any]:
        """Read a part of the crop, by its places along each axis; no more is read."""
        shifted = []
        for axis, places in enumerate(ranges):
            start = (self.index[axis].start or 0) if axis < len(self.index) else 0
            moved = range(places.start + start, places.stop + start, places.step)
            shifted.append(as_slice(moved))
        return np.asarray(self.data[tuple(shifted)])

    @property
    def is_part(self) -> bool:
        """Whether the crop is not all of the layer."""
        pairs = zip(self.index, self.data.shape, strict=False)
        return any(part.indices(n) != (0, n, 1) for part, n in pairs)

    def image(self) -> Image:
        """Return the crop as an Image; alpha is left out, since it holds no measurement."""
        pixels = self._crop()
        if self.rgb:
            pixels = pixels[..., :3]
        made = {"part": dict(self.part)} if self.part else {}
        return Image(pixels, self.axes, self.scale, self.units, self.name, made)

    def near(self, count: int) -> tuple[Source, dict[int, range]]:
        """Widen a crop of one plane by `count` planes before and after it, along T and along Z.

        Returns
        -------
        wider : Source
            With the planes that `napari_dip.planes.neighbours` looks at, and no others.
        inside : dict of int and range
            Where in it the plane lies, along each axis that was widened; there may be none.
        """
        index, inside = list(self.index), {}
        for i, (letter, n) in enumerate(zip(self.layer_axes, self.data.shape, strict=False)):
            places = range(n)[self.index[i]]
            if letter in ALONG and len(places) == 1 < n and count:
                near = places_near(places[0], n, count)
                index[i] = slice(near.start, near.stop)
                inside[i] = range(places[0] - near.start, places[0] - near.start + 1)
        return replace(self, index=tuple(index)), inside

    def layer_pixels(self, image: Image) -> Any:
        """Return an answer's pixels as its layer shows them; large stacks stay on disk.

        napari takes float colours to lie in [0, 1], so colour goes back to the source's type, with
        its alpha.
        """
        if not self.rgb:
            return image.pixels
        pixels = np.asarray(image.pixels)
        dtype = np.dtype(self.data.dtype)
        if dtype.kind in "ui":
            bounds = np.iinfo(dtype)
            pixels = np.clip(np.rint(pixels), bounds.min, bounds.max)
        pixels = pixels.astype(dtype)
        if self.data.shape[-1] == 4:
            alpha = np.asarray(self._crop())[..., 3:]
            for axis, n in enumerate(pixels.shape[:-1]):  # an enlarged answer covers the same place
                alpha = alpha.repeat(n // alpha.shape[axis], axis)
            pixels = np.concatenate([pixels, alpha], axis=-1)
        return pixels

    def layer_std(self, std: Image | None) -> Any:
        """Return a standard deviation as one value per pixel: for colours their mean."""
        if std is None:
            return None
        return np.asarray(std.pixels).mean(axis=-1) if self.rgb else std.pixels

    @property
    def placement(self) -> dict[str, Any]:
        """The part of `look` that says where a layer lies, without colours."""
        return {key: value for key, value in self.look.items() if key not in COLOURS}

    def crop_of(self, shape: Sequence[int]) -> tuple[str, Index] | None:
        """Return axes and crop of another array that lies on the layer, or on one of its planes.

        None where the array has another shape than both.
        """
        planar = [i for i, letter in enumerate(self.layer_axes) if letter in "YX"]
        for kept in (range(len(self.index)), planar):
            if tuple(shape) == tuple(self.data.shape[i] for i in kept):
                return "".join(self.axes[i] for i in kept), tuple(self.index[i] for i in kept)
        return None

    def _crop(self) -> Any:
        return self.data[self.index] if self.is_part else self.data


def levels(layer: Any) -> list[Any]:
    """List a layer's resolution levels, finest first; one for an ordinary layer."""
    return [layer.data[i] for i in range(len(layer.data))] if layer.multiscale else [layer.data]


def default_level(layer: Any) -> int:
    """Choose the finest level whose planes are small enough to be fitted, else the coarsest."""
    spatial = slice(-3, -1) if layer.rgb else slice(-2, None)
    sizes = [int(np.prod(level.shape[spatial])) for level in levels(layer)]
    return next((i for i, size in enumerate(sizes) if size <= LARGE_PLANE), len(sizes) - 1)


def level_factors(layer: Any, level: int) -> Vector:
    """Return how many pixels of the finest level one pixel of a level spans, along each axis."""
    finest, chosen = (
        np.asarray(levels(layer)[i].shape[: layer.ndim], dtype=float) for i in (0, level)
    )
    return finest / np.maximum(chosen, 1)


def layer_axes(layer: Any) -> str:
    """Guess the letters of a layer's axes, as `axes_from_labels`."""
    return axes_from_labels(layer.data.shape[: layer.ndim], layer.axis_labels)


def axes_from_labels(shape: Sequence[int], labels: Sequence[str]) -> str:
    """Guess the letters of axes, without colour: their labels first, then how many there are.

    napari's default labels, "-2" and "-1", count as no label.

    Raises
    ------
    ValueError
        If there are fewer than two or more than five axes.
    """
    guessed = guess_axes(tuple(shape), "float32")  # float: never taken for colour
    known = [letter_of(label) for label in labels]
    known = [letter if known.count(letter) == 1 else "" for letter in known]
    # Taken from the end, the last axis first: a lone label in front leaves Y and X where they are.
    spare = [letter for letter in ("C", "T", "Z") if letter not in guessed] + list(guessed)
    spare = [letter for letter in spare if letter not in known]
    return "".join(reversed([letter or spare.pop() for letter in reversed(known)]))


def make_source(layer: Any, axes: str, index: Index, level: int = 0) -> Source:
    """Gather everything a run needs from an image layer; reads no pixels.

    `axes` has a letter per axis of the layer, without colour; `index` is the crop in pixels of the
    resolution level, of which 0 is the finest.
    """
    rgb = bool(layer.rgb)
    look = _look(layer, index, level_factors(layer, level))
    return Source(
        data=levels(layer)[level],
        index=index,
        axes=axes + ("C" if rgb else ""),
        scale=(*np.abs(look["scale"]).tolist(), *([1.0] if rgb else [])),
        units=(*look["units"], *(["pixel"] if rgb else [])),
        name=str(layer.name),
        rgb=rgb,
        look=look,
        part=_part_of(layer),
    )


def is_raw(layer: Any) -> bool:
    """Return whether a layer may be denoised unasked: no result of a run, and no clean sample."""
    made = layer.metadata.get("napari_dip", {})
    return not isinstance(made, Mapping) or not MADE & set(made)


def _part_of(layer: Any) -> Mapping[str, Any]:
    """Return what part of its file a layer is, such as which position."""
    made = layer.metadata.get("napari_dip", {})
    part = made.get("part", {}) if isinstance(made, Mapping) else {}
    return part if isinstance(part, Mapping) else {}


def _look(layer: Any, index: Index, step: Vector) -> dict[str, Any]:
    look = {
        "scale": (np.asarray(layer.scale, dtype=float) * step).tolist(),
        "translate": _translate(layer, index, step).tolist(),
        "rotate": np.asarray(layer.rotate),
        "shear": np.asarray(layer.shear),
        "affine": np.asarray(layer.affine.affine_matrix),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": tuple(layer.axis_labels),
        "rgb": bool(layer.rgb),
        "opacity": float(layer.opacity),
        "multiscale": False,
    }
    for key in ("blending", "interpolation2d", "interpolation3d"):
        look[key] = str(getattr(layer, key))
    if not layer.rgb:
        look["colormap"] = layer.colormap
        look["contrast_limits"] = [float(limit) for limit in layer.contrast_limits]
        look["gamma"] = float(layer.gamma)
        look["rendering"] = str(layer.rendering)
    return look


def finer_look(layer: Any, source: Source, level: int, factor: int) -> dict[str, Any]:
    """Return the look of an answer with `factor` times as many pixels along Y and X."""
    finer = np.array([factor if letter in "YX" else 1 for letter in source.layer_axes], dtype=float)
    scale = np.asarray(source.look["scale"], dtype=float) / finer
    step = level_factors(layer, level)
    corner = _translate(layer, source.index, step, (1 / finer - 1) / 2)
    return {**source.look, "scale": scale.tolist(), "translate": corner.tolist()}


def _translate(layer: Any, index: Index, step: Vector, shift_by: Any = 0) -> Vector:
    """Return the `translate` that puts a crop of a level where it lies in the layer.

    `shift_by` moves it by so many pixels of the level. napari draws the levels with their outer
    edges aligned, so pixel 0 of a level lies (step - 1) / 2 finest pixels further in. Differences
    of world positions leave out the offset that grid mode adds.
    """
    first = np.array([part.start or 0 for part in index], dtype=float)
    start = (first + shift_by) * step + (step - 1) / 2
    origin = layer.data_to_world(np.zeros_like(start))
    shift = np.asarray(layer.data_to_world(start)) - np.asarray(origin)
    linear = np.asarray(layer.affine.linear_matrix)
    return np.asarray(layer.translate, dtype=float) + np.linalg.solve(linear, shift)
