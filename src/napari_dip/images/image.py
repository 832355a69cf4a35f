"""`Image`: pixels with the axes, scale and units that a measurement needs."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_dip.images.details import Details
from napari_dip.images.part import Part, take_part
from napari_dip.images.pictures import facts_of, to_html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import DTypeLike, NDArray

LETTERS = "TZCYX"  # time, depth, channel, height, width
RGB_SIZES = (3, 4)
LONGEST_NAME = 100  # characters of a channel's name
PlaneIndex = tuple[int | slice, ...]


class ArrayLike(Protocol):
    """What `Image` asks of its pixels: numpy, dask, zarr and memory maps all have it."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """Pixels and what they mean.

    Parameters
    ----------
    pixels : array-like
        numpy, dask, zarr or memory-mapped; read plane by plane.
    axes : str, optional
        A letter an axis out of ``TZCYX``, each once, with Y and X. ``C`` last (``YXC``) means RGB
        or RGBA colour. By default guessed from the number of axes, see `guess_axes`.
    scale : tuple of float, optional
        The size of a pixel along each axis, in `units`; 1 by default.
    units : tuple of str, optional
        The unit of each axis, ``"pixel"`` by default.
    name : str
        What to call it: a file's stem, a layer's name.
    channels : tuple of str, optional
        The names of the channels, one each along C, or the only one's where there is no C; none by
        default, and none for RGB. What cannot be printed is left out.
    details : Details
        Colours, display ranges, wavelengths, times and positions, for a file to keep.
    provenance : mapping
        What made it, ready for JSON; empty for raw data.
    remarks : tuple of str
        What is remarkable about it as it was read, such as what was left out: sentences that the
        stream of a fit hands on to the user.

    Raises
    ------
    ValueError
        When axes, scale, units, channels and shape do not agree, or for masked pixels.
    """

    pixels: ArrayLike
    axes: str = ""
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    name: str = ""
    provenance: Mapping[str, object] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    details: Details = field(default_factory=Details)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.pixels.shape)
        if np.ma.is_masked(self.pixels):
            raise ValueError(
                "The image has masked pixels, and a fit cannot leave any out; fill them first: "
                "image.filled()."
            )
        if not isinstance(self.axes, str):
            raise ValueError(f"axes is {self.axes!r}; give a letter for each axis, such as 'ZYX'.")
        axes = (self.axes or guess_axes(shape, self.pixels.dtype)).upper()
        check_axes(axes, shape)
        object.__setattr__(self, "axes", axes)
        for name, blank in (("scale", 1.0), ("units", "pixel")):
            values = tuple(getattr(self, name)) or (blank,) * len(shape)
            if len(values) != len(shape):
                raise ValueError(
                    f"{name} has {len(values)} values for the axes {axes}: give each one."
                )
            object.__setattr__(self, name, values)
        if not all(np.isfinite(s) and s > 0 for s in self.scale):
            raise ValueError(
                f"scale must be positive and finite on every axis; given was {self.scale}."
            )
        names = self.channels
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"channels is {names!r}; give a name for each channel, such as ('DAPI', 'GFP')."
            )
        object.__setattr__(self, "channels", tuple(printable_name(name) for name in names))
        count = 0 if self.is_rgb else shape[axes.index("C")] if "C" in axes else 1
        if names and len(names) != count:
            raise ValueError(
                f"channels names {len(names)} channels; an image {axes} of {shape} has {count}."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(self.pixels.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel value."""
        dtype: np.dtype[Any] = np.dtype(self.pixels.dtype)
        # A file's byte order is no property of the image; texts have none.
        return dtype if dtype.isnative else dtype.newbyteorder("=")

    @property
    def is_rgb(self) -> bool:
        """Whether the last axis is colour."""
        return self.axes.endswith("C")

    @property
    def _plane_axes(self) -> str:
        return "".join(a for a in self.axes if a in ("YXC" if self.is_rgb else "YX"))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the pixels as numpy, so that numpy functions take an Image."""
        return np.asarray(self.pixels, dtype=dtype)

    def __repr__(self) -> str:
        hidden = ("axes", "shape", "remarks")
        about = ", ".join(of for name, of in facts_of(self) if name not in hidden)
        return f"Image({self.axes} {' x '.join(map(str, self.shape))}, {about})"

    def _repr_html_(self) -> str:
        """Show the plane in the middle, and what is known of the image, in a notebook."""
        return to_html(facts_of(self), self)

    def with_pixels(self, pixels: ArrayLike, **changes: Any) -> Image:
        """Return the same image with other pixels (of the same shape unless axes change too)."""
        return replace(self, pixels=pixels, **changes)

    def take(
        self,
        *,
        channel: int | str | None = None,
        time: int | str | None = None,
        plane: int | str | None = None,
    ) -> Image:
        """Return some channels, time points and planes; nothing is read.

        Parameters
        ----------
        channel : int or str, optional
            A number from 0 on or a name, or several: ``"DAPI, GFP"``.
        time, plane : int or str, optional
            Places along T and Z: ``3``, ``"2:10"`` (without 10), ``"0, 3, 2:10"``, ``"::2"``.

        Returns
        -------
        Image
            Without the axis where one place was named by itself. Of every n-th place the scale is n
            times that of the whole. What was left out is among its `remarks`, and stands in its
            provenance as ``part``.

        Raises
        ------
        ValueError
            For what it does not have.
        """
        return take_part(self, Part(channel=channel, time=time, plane=plane).given())

    def plane_indices(self) -> list[PlaneIndex]:
        """Return the index of each plane, in the order of storage: Y, X and colour whole."""
        choices = [
            [slice(None)] if a in self._plane_axes else range(n)
            for a, n in zip(self.axes, self.shape, strict=True)
        ]
        return list(product(*choices))

    def pages(
        self, stack_axes: str, page_axes: str
    ) -> Iterator[tuple[tuple[int, ...], NDArray[Any]]]:
        """Walk the stored pixels by page, both kinds of axes in the order given."""
        order = [a for a in self.axes if a in page_axes]
        lengths = dict(zip(self.axes, self.shape, strict=True))
        for place in np.ndindex(*(lengths[a] for a in stack_axes)):
            at = dict(zip(stack_axes, place, strict=True))
            key = tuple(at.get(a, slice(None)) for a in self.axes)
            # No name for the page: it would live on while the next one is read.
            yield place, self._part(key).transpose([order.index(a) for a in page_axes])

    def _part(self, key: PlaneIndex) -> NDArray[Any]:
        part = np.asarray(self.pixels[key])
        release_pages(part)
        return part

    def plane(self, index: PlaneIndex) -> NDArray[np.float64]:
        """Read one plane as float64, channels first.

        Returns
        -------
        (C, Y, X) array
            C is 1, or the number of colours of an RGB image.
        """
        part = self.pixels[index]
        plane = np.array(part, dtype=np.float64)
        release_pages(part)  # whose map a library may have
        axes = self._plane_axes
        if "C" not in axes:
            plane, axes = plane[None], "C" + axes
        return plane.transpose([axes.index(a) for a in "CYX"])

    def plane_like(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Turn a (C, Y, X) plane into this image's layout, for ``pixels[index] = ...``."""
        axes = self._plane_axes
        if "C" not in axes:
            return np.transpose(plane[0], ["YX".index(a) for a in axes])
        return np.transpose(plane, ["CYX".index(a) for a in axes])

    def planes(self) -> Iterator[NDArray[np.float64]]:
        """Walk the planes as (C, Y, X) float64 arrays."""
        return (self.plane(index) for index in self.plane_indices())


def guess_axes(shape: tuple[int, ...], dtype: DTypeLike) -> str:
    """Guess axis letters for unlabelled data.

    Two axes are YX. Three are YXC for 8- or 16-bit data whose last axis has 3 or 4 entries and
    whose others are longer, else ZYX. Four are TZYX, five TZCYX.

    Raises
    ------
    ValueError
        If there are fewer than two axes or more than five.
    """
    return axes_for(shape, np.dtype(dtype).kind == "u", 5)


def axes_for(shape: tuple[int, ...], may_be_colour: bool, smallest: int) -> str:
    """Name 2 to 5 axes; colour is last, with 3 or 4 entries and planes of `smallest` or more."""
    if not 2 <= len(shape) <= len(LETTERS):
        raise ValueError(
            f"An image has 2 to 5 axes out of TZCYX, not the shape {shape}: split it first."
        )
    colour = may_be_colour and len(shape) > 2 and shape[-1] in RGB_SIZES
    if colour and min(shape[-3:-1]) >= smallest:
        return {3: "YXC", 4: "ZYXC", 5: "TZYXC"}[len(shape)]
    return {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TZCYX"}[len(shape)]


def check_axes(axes: str, shape: tuple[int, ...]) -> None:
    """Refuse axis letters that cannot describe the shape.

    Raises
    ------
    ValueError
        With a sentence that names what is wrong.
    """
    if len(axes) != len(shape):
        raise ValueError(
            f"axes {axes!r} name {len(axes)} axes; the data have {len(shape)}: give a letter each."
        )
    strangers = sorted(set(axes) - set(LETTERS))
    if strangers:
        raise ValueError(
            f"axes {axes!r} hold {', '.join(strangers)}; use the letters T, Z, C, Y and X."
        )
    if len(set(axes)) != len(axes):
        raise ValueError(
            f"axes {axes!r} use a letter twice; each of T, Z, C, Y and X may stand once."
        )
    if not {"Y", "X"} <= set(axes):
        raise ValueError(f"axes {axes!r} lack Y or X; both are needed.")
    if axes.endswith("C") and shape[-1] not in RGB_SIZES:
        raise ValueError(
            f"axes {axes!r} end with C, which means RGB; that has {shape[-1]} entries, not 3 or 4."
        )
    if 0 in shape:
        raise ValueError(f"The image has no pixels: its shape is {shape}.")


def printable_name(name: str) -> str:
    """Return what of a channel's name can be printed, at most 100 characters."""
    return "".join(c for c in name if c.isprintable())[:LONGEST_NAME].strip()


def release_pages(pixels: Any) -> None:
    """Release the pages of a memory-mapped array that were read or written: they stay in the file.

    So memory does not grow with the file. Changes to a private map (mode "c") are in no file.
    """
    while pixels is not None and not isinstance(pixels, mmap.mmap):
        if isinstance(pixels, np.memmap) and pixels.mode == "c":
            return
        if isinstance(pixels, memoryview):
            pixels = pixels.obj
        else:
            pixels = getattr(pixels, "base", None)
    if pixels is not None and hasattr(pixels, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
        pixels.madvise(mmap.MADV_DONTNEED)
