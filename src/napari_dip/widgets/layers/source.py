"""Between napari's layers and `Image`: what to read, and how the answer is to look and where it lies.

Only public attributes of a layer are read, on the main thread; `Source` carries plain values to the worker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.image import RGB_SIZES, Image, guess_axes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

NAMES = {
    "T": {"t", "time", "frame", "frames"},
    "Z": {"z", "depth", "plane", "slice"},
    "C": {"c", "ch", "channel", "channels"},
    "Y": {"y", "row", "rows", "height"},
    "X": {"x", "column", "columns", "width"},
}
LARGE_PLANE = 2048 * 2048
Index = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """What a run reads, and how its answer becomes a layer.

    Parameters
    ----------
    data : array-like
        One resolution level, as the layer holds it; read in the worker.
    index : tuple of slice
        The crop, one slice per axis of the layer (colour left out).
    axes, scale, units
        As in `Image`, with the colour axis where there is one.
    name : str
        The layer's name.
    rgb : bool
        Whether the last axis is colour.
    look : mapping
        Keyword arguments of ``viewer.add_image`` that make the answer look like, and lie on, the layer.
    """

    data: Any
    index: Index
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    name: str
    rgb: bool
    look: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the crop, with colour."""
        lengths = [
            len(range(*s.indices(n))) for s, n in zip(self.index, self.data.shape, strict=False)
        ]
        return (*lengths, *self.data.shape[len(lengths) :])

    def image(self) -> Image:
        """Return the crop as an Image; an alpha channel is left out, since it holds no measurement."""
        pixels = self._crop()
        if self.rgb:
            pixels = pixels[..., :3]
        return Image(pixels, self.axes, self.scale, self.units, self.name)

    def shown(self, image: Image) -> Any:
        """Turn an answer into pixels that napari shows as it shows the source; large stacks stay on disk.

        napari takes float colours to lie in [0, 1], so colour goes back to the source's type, with its alpha.
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

    def shown_std(self, std: Image) -> Any:
        """Turn a standard deviation into pixels of one value each: for colours their mean."""
        return np.asarray(std.pixels).mean(axis=-1) if self.rgb else std.pixels

    @property
    def place(self) -> dict[str, Any]:
        """The part of `look` that says where a layer lies, without colours."""
        of_looks = ("colormap", "contrast_limits", "gamma", "rgb", "blending", "opacity")
        return {key: value for key, value in self.look.items() if key not in of_looks}

    def _crop(self) -> Any:
        whole = all(
            s.indices(n) == (0, n, 1) for s, n in zip(self.index, self.data.shape, strict=False)
        )
        return self.data if whole else self.data[self.index]


def levels(layer: Any) -> list[Any]:
    """List a layer's resolution levels, finest first; one for an ordinary layer."""
    return [layer.data[i] for i in range(len(layer.data))] if layer.multiscale else [layer.data]


def good_level(layer: Any) -> int:
    """Choose the finest level whose planes are small enough to be fitted, else the coarsest."""
    spatial = slice(-3, -1) if layer.rgb else slice(-2, None)
    sizes = [int(np.prod(level.shape[spatial])) for level in levels(layer)]
    return next((i for i, size in enumerate(sizes) if size <= LARGE_PLANE), len(sizes) - 1)


def factors(layer: Any, level: int) -> NDArray[np.float64]:
    """Say how many pixels of the finest level one pixel of a level spans, along each axis of the layer."""
    all_levels = levels(layer)
    finest, chosen = (
        np.asarray(all_levels[i].shape[: layer.ndim], dtype=float) for i in (0, level)
    )
    return finest / np.maximum(chosen, 1)


def axes_of(layer: Any) -> str:
    """Guess the letters of a layer's axes, without colour: its labels first, then its number of axes.

    napari's default labels, "-2" and "-1", count as no label.

    Raises
    ------
    ValueError
        If the layer has fewer than two or more than five axes.
    """
    guessed = guess_axes(
        tuple(layer.data.shape[: layer.ndim]), "float32"
    )  # float: never taken for colour
    known = [_letter(label) for label in layer.axis_labels]
    known = [letter if known.count(letter) == 1 else "" for letter in known]
    # Taken from the end, the last axis first, so that a lone label in front leaves Y and X where they are.
    spare = [letter for letter in ("C", "T", "Z") if letter not in guessed] + list(guessed)
    spare = [letter for letter in spare if letter not in known]
    return "".join(reversed([letter or spare.pop() for letter in reversed(known)]))


def _letter(label: str) -> str:
    return next(
        (letter for letter, names in NAMES.items() if str(label).strip().lower() in names), ""
    )


def source_of(layer: Any, axes: str, index: Index, level: int = 0) -> Source:
    """Gather everything a run needs from a layer; reads no pixels.

    Parameters
    ----------
    layer : napari.layers.Image
        The noisy layer.
    axes : str
        A letter per axis of the layer, without colour.
    index : tuple of slice
        The crop, in pixels of the chosen level.
    level : int
        The resolution level, 0 being the finest.
    """
    rgb = bool(layer.rgb)
    step = factors(layer, level)
    scale = np.asarray(layer.scale, dtype=float) * step
    return Source(
        data=levels(layer)[level],
        index=index,
        axes=axes + ("C" if rgb else ""),
        scale=(*np.abs(scale).tolist(), *([1.0] if rgb else [])),
        units=(*(str(unit) for unit in layer.units), *(["pixel"] if rgb else [])),
        name=str(layer.name),
        rgb=rgb,
        look=_look(layer, index, scale, step),
    )


def _look(
    layer: Any, index: Index, scale: NDArray[np.float64], step: NDArray[np.float64]
) -> dict[str, Any]:
    look = {
        "scale": scale.tolist(),
        "translate": _corner(layer, index, step).tolist(),
        "rotate": np.asarray(layer.rotate),
        "shear": np.asarray(layer.shear),
        "affine": np.asarray(layer.affine.affine_matrix),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": tuple(layer.axis_labels),
        "rgb": bool(layer.rgb),
        "blending": str(layer.blending),
        "opacity": float(layer.opacity),
        "interpolation2d": str(layer.interpolation2d),
        "interpolation3d": str(layer.interpolation3d),
        "multiscale": False,
    }
    if not layer.rgb:
        look["colormap"] = layer.colormap
        look["contrast_limits"] = [float(limit) for limit in layer.contrast_limits]
        look["gamma"] = float(layer.gamma)
        look["rendering"] = str(layer.rendering)
    return look


def finer_look(layer: Any, source: Source, level: int, factor: int) -> dict[str, Any]:
    """Return the look of an answer that covers the source with `factor` times as many pixels along Y and X."""
    step = factors(layer, level)
    finer = np.array(
        [factor if letter in "YX" else 1 for letter in source.axes[: layer.ndim]], dtype=float
    )
    scale = np.asarray(source.look["scale"], dtype=float) / finer
    corner = _corner(layer, source.index, step, (1 / finer - 1) / 2)
    return {**source.look, "scale": scale.tolist(), "translate": corner.tolist()}


def _corner(
    layer: Any, index: Index, step: NDArray[np.float64], shift_by: Any = 0
) -> NDArray[np.float64]:
    """Return the `translate` that puts a crop of a level where it lies in the layer, `shift_by` pixels of it further.

    napari draws the levels with their outer edges aligned, so pixel 0 of a level lies (step - 1) / 2
    finest pixels further in. Differences of world positions leave out the offset that grid mode adds.
    """
    start = (np.array([s.start or 0 for s in index], dtype=float) + shift_by) * step + (
        step - 1
    ) / 2
    origin = np.zeros_like(start)
    shift = np.asarray(layer.data_to_world(start)) - np.asarray(layer.data_to_world(origin))
    return np.asarray(layer.translate, dtype=float) + np.linalg.solve(
        np.asarray(layer.affine.linear_matrix), shift
    )


def image_of(data: Any, meta: Mapping[str, Any]) -> Image:
    """Build an Image from a layer's data and napari's description of it, as npe2 hands them to a writer."""
    pixels = data[0] if meta.get("multiscale") else data
    rgb = bool(meta.get("rgb")) and pixels.shape[-1] in RGB_SIZES
    ndim = len(pixels.shape) - rgb
    labels: Sequence[str] = meta.get("axis_labels") or [str(i) for i in range(-ndim, 0)]
    layer = _Described(pixels, ndim, tuple(labels))
    scale = np.abs(np.asarray(meta.get("scale", np.ones(ndim)), dtype=float))
    units = [str(unit) for unit in (meta.get("units") or ["pixel"] * ndim)]
    return Image(
        pixels,
        axes_of(layer) + ("C" if rgb else ""),
        (*scale.tolist(), *([1.0] if rgb else [])),
        (*units, *(["pixel"] if rgb else [])),
        str(meta.get("name", "")),
        dict((meta.get("metadata") or {}).get("napari_dip", {})),
    )


@dataclass(frozen=True)
class _Described:
    """The three things `axes_of` asks of a layer."""

    data: Any
    ndim: int
    axis_labels: tuple[str, ...]
