"""What a model is trained on: planes out of any number of files and arrays, read a crop at a time.

Files are opened when a crop of theirs is wanted and closed again when too much has been read of them, so that memory
does not grow with the data.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.images.files import READABLE, read
from napari_dip.images.fmd import is_fmd, read_tree
from napari_dip.images.hot import repair
from napari_dip.images.image import Image
from napari_dip.images.stabilise import estimate_noise, noise_is_smooth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.images.image import PlaneIndex
    from napari_dip.images.stabilise import PoissonGaussian

BUDGET = 256 << 20  # bytes of files that are kept open or mapped
PAGE = 4096  # bytes that the system reads at least, for each line of a crop
LOOK = 512  # side of the square that an image's noise is measured on
LOOKS = 4  # planes of an image that it is measured on
MEASURED = 16  # images whose statistics are stored
SMALLEST = 16  # pixels; no crop can be cut out of less


@dataclass(frozen=True)
class Standard:
    """The map that makes the noise of one image even, of standard deviation 1, around a mean of 0."""

    noise: PoissonGaussian
    mean: float
    stabilised: bool

    def apply(self, y: NDArray[np.float64]) -> NDArray[np.float32]:
        """Map intensities to units of the noise."""
        z = self.noise.stabilise(y) if self.stabilised else y / self._sigma
        return np.asarray(z - self.mean, dtype=np.float32)

    def apply_to_clean(self, x: NDArray[np.float64]) -> NDArray[np.float32]:
        """Map clean intensities to where `apply` brings noisy ones on average, so that the way back has no bias."""
        if not self.stabilised:
            return self.apply(x)
        grid = np.linspace(0.5, 2 + float(self.noise.stabilise(np.asarray(x.max()))) * 1.05, 4096)
        return np.asarray(np.interp(x, self.noise.restore(grid), grid) - self.mean, dtype=np.float32)

    def undo(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring a denoised image back to intensities, without bias."""
        z = z + self.mean
        return self.noise.restore(z) if self.stabilised else z * self._sigma

    @property
    def _sigma(self) -> float:
        return self.noise.std(0.0)


class Source:
    """One image: a file, opened when needed, or an Image in hand."""

    def __init__(self, image: Image | Path, axes: str | None = None) -> None:
        self.image = image
        self.axes = axes
        self.standards: dict[tuple[int | None, bool], Standard] = {}  # measured when first wanted
        shape_of = self.open()
        self.shape, self.letters, self.dtype = shape_of.shape, shape_of.axes, shape_of.dtype
        self.is_rgb = shape_of.is_rgb
        self.name = shape_of.name or "array"
        if self.dtype.kind not in "buif":
            raise ValueError(f"{self.name} has pixels of type {self.dtype}; give integers or floats.")

    def open(self) -> Image:
        """Return the image; a file is read, or mapped where it is large."""
        return self.image if isinstance(self.image, Image) else read(self.image, axes=self.axes)

    def mark(self) -> str:
        """Return what tells this source from another: name, size and age of a file, shape and type of an array."""
        if isinstance(self.image, Image):
            return f"{self.name} {self.shape} {self.dtype}"
        facts = self.image.stat()
        return f"{self.image.name} {facts.st_size} {facts.st_mtime_ns}"


class Shelf:
    """Open images; the one used longest ago is closed first when more than `BUDGET` bytes have been read."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self.open: OrderedDict[int, tuple[Image, int]] = OrderedDict()

    def read(self, source: Source, index: PlaneIndex) -> NDArray[np.float64]:
        """Read a part of an image."""
        if isinstance(source.image, Image):
            return np.asarray(source.image.pixels[index], dtype=np.float64)
        image, used = self.open.pop(id(source), (None, 0))
        if image is None:
            image = source.open()
            used = 0 if isinstance(image.pixels, np.memmap) else prod(image.shape) * image.dtype.itemsize
        part = np.asarray(image.pixels[index], dtype=np.float64)
        if isinstance(image.pixels, np.memmap):  # what was touched stays in memory until the map is closed
            used += prod(part.shape[:-1]) * (PAGE + part.shape[-1] * image.dtype.itemsize)
        self.open[id(source)] = image, used
        while sum(bytes_ for _, bytes_ in self.open.values()) > self.budget and self.open:
            self.open.popitem(last=False)
        return part


@dataclass(frozen=True)
class Plane:
    """A plane of a source: Y and X whole, and one channel or all of them."""

    source: Source
    index: PlaneIndex
    channel: int | None  # None: all channels together

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        shape = dict(zip(self.source.letters, self.source.shape, strict=True))
        return shape["Y"], shape["X"]

    def read(self, shelf: Shelf, top: int, left: int, height: int, width: int) -> NDArray[np.float64]:
        """Read a part as (C, Y, X) intensities, hot pixels repaired.

        Raises
        ------
        ValueError
            If it holds NaN or infinite pixels.
        """
        parts = {"Y": slice(top, top + height), "X": slice(left, left + width)}
        index = tuple(parts.get(a, i) for a, i in zip(self.source.letters, self.index, strict=True))
        pixels = shelf.read(self.source, index)
        letters = [a for a, i in zip(self.source.letters, index, strict=True) if isinstance(i, slice)]
        if "C" not in letters:
            pixels, letters = pixels[None], ["C", *letters]
        pixels = pixels.transpose([letters.index(a) for a in "CYX"])
        if not np.isfinite(pixels).all():
            raise ValueError(f"{self.source.name} has non-finite pixels (NaN or infinite); replace them first.")
        return repair(pixels)[0]

    def middle(self, shelf: Shelf) -> NDArray[np.float64]:
        """Read the middle, at most `LOOK` pixels wide."""
        height, width = self.size
        tall, wide = min(LOOK, height), min(LOOK, width)
        return self.read(shelf, (height - tall) // 2, (width - wide) // 2, tall, wide)


def measure(samples: list[NDArray[np.float64]], stabilise: bool, name: str) -> Standard:
    """Measure noise and mean on samples of one image."""
    noise = estimate_noise(samples)
    mean = float(np.mean([sample.mean() for sample in samples]))
    if noise.std(mean) <= 0:
        raise ValueError(f"{name} has no noise that could be measured, so nothing can be learnt from it; leave it out.")
    if not stabilise or noise.gain <= 0:
        flat = type(noise)(0.0, noise.std(mean) ** 2)
        return Standard(flat, mean / flat.std(0.0), stabilised=False)
    middle = float(np.mean([noise.stabilise(sample).mean() for sample in samples]))
    return Standard(noise, middle, stabilised=True)


@dataclass(frozen=True)
class Scene:
    """One view: its noisy captures (one, or repeats) and its clean image where there is one."""

    captures: tuple[Plane, ...]
    clean: Plane | None = None


@dataclass(frozen=True)
class Dataset:
    """The scenes to train on, and the shelf that they are read from."""

    scenes: tuple[Scene, ...]
    channels: int
    shelf: Shelf = field(default_factory=Shelf)

    @cached_property
    def planes(self) -> list[Plane]:
        """All noisy planes."""
        return [plane for scene in self.scenes for plane in scene.captures]

    @cached_property
    def sources(self) -> list[Source]:
        """The images, each once."""
        return list({id(plane.source): plane.source for plane in self.planes}.values())

    @cached_property
    def _channels(self) -> dict[tuple[int, int | None], list[Plane]]:
        groups: dict[tuple[int, int | None], list[Plane]] = {}
        for plane in self.planes:
            groups.setdefault((id(plane.source), plane.channel), []).append(plane)
        return groups

    def standard(self, plane: Plane, stabilise: bool) -> Standard:
        """Return the map to units of the noise; all planes of one channel of an image share theirs.

        Raises
        ------
        ValueError
            If the image has no noise that could be measured.
        """
        known, key = plane.source.standards, (plane.channel, stabilise)
        if key not in known:
            planes = self._channels[id(plane.source), plane.channel]  # not the one drawn first: the same in every run
            samples = [one.middle(self.shelf) for one in planes[:: -(-len(planes) // LOOKS)]]
            known[key] = measure(samples, stabilise, plane.source.name)
        return known[key]

    def mark(self) -> str:
        """Return a SHA-256 over the marks of all sources: other data, another mark."""
        return hashlib.sha256("\n".join(source.mark() for source in self.sources).encode()).hexdigest()

    def smooth_noise(self, looks: int = 4) -> list[str]:
        """Name the images, among a few evenly spread, whose neighbouring pixels share their noise."""
        chosen = self.sources[:: -(-len(self.sources) // looks)]
        first = {id(plane.source): plane for plane in reversed(self.planes)}
        return [s.name for s in chosen if noise_is_smooth([first[id(s)].middle(self.shelf)])]

    def statistics(self, stabilise: bool, correlated: bool) -> dict[str, Any]:
        """Measure intensities and noise on a few images, evenly spread, ready for JSON."""
        first = {id(plane.source): plane for plane in reversed(self.planes)}
        chosen = self.sources[:: -(-len(self.sources) // MEASURED)]
        rows = []
        for source in chosen:
            plane = first[id(source)]
            middle, standard = plane.middle(self.shelf), self.standard(plane, stabilise)
            low, high = np.quantile(standard.apply(middle), (0.001, 0.999))
            noise = standard.noise
            rows.append((middle.min(), middle.mean(), middle.max(), high - low, noise.gain, noise.variance))
        least, mean, most, contrast, gain, variance = (
            np.array(column, dtype=float) for column in zip(*rows, strict=True)
        )
        return {
            "intensity": [float(least.min()), float(mean.mean()), float(most.max())],
            "contrast": [float(contrast.min()), float(contrast.max())],
            "gain": [float(gain.min()), float(gain.max())],
            "variance": [float(variance.min()), float(variance.max())],
            "noise_is_correlated": correlated,
        }

    def summary(self) -> dict[str, Any]:
        """Say what it is, ready for JSON; names of folders stay out."""
        names = [source.name for source in self.sources]
        return {
            "images": len(names),
            "planes": len(self.planes),
            "pixels": sum(prod(plane.size) for plane in self.planes),
            "types": sorted({str(source.dtype) for source in self.sources}),
            "first_names": names[:8],
            "sha256_of_names_sizes_and_times": self.mark(),
        }


def gather(
    data: Any,
    targets: Any = None,
    *,
    targets_are_clean: bool = False,
    repeats: bool = False,
    together: bool = False,
    axes: str | None = None,
    samples: Sequence[str] | None = None,
) -> Dataset:
    """Make a data set out of files, folders, patterns, arrays and Images, or lists of them.

    Parameters
    ----------
    data : path-like, array-like, Image or sequence of these
        A folder is searched to the bottom; the FMD data set is read by name. A pattern such as ``"*.tif"`` is
        resolved. Planes along T, Z and further axes are samples of their own.
    targets : like `data`, optional
        The second capture or the clean image of each one, in the same order and of the same shapes.
    targets_are_clean : bool
        Which of the two they are.
    repeats : bool
        Whether the planes along T, or the captures of one field of FMD, show the same scene.
    together : bool
        Whether the colours of RGB images belong together; else each is a plane of its own, as other channels are.
    axes : str, optional
        Letters for arrays and files that do not say.
    samples : sequence of str, optional
        For FMD, see `napari_dip.images.fmd.read_tree`.

    Raises
    ------
    ValueError
        If there is nothing to train on, or pairs do not match.
    FileNotFoundError
        If a file or folder is not there.
    """
    scenes = [scene for item in _items(data) for scene in _scenes(item, repeats, together, axes, samples)]
    if targets is not None:
        others = [scene for item in _items(targets) for scene in _scenes(item, False, together, axes, samples)]
        scenes = _paired(_singles(scenes), _singles(others), targets_are_clean)
    scenes = [scene for scene in scenes if min(min(p.size) for p in scene.captures) >= SMALLEST]
    if not scenes:
        raise ValueError(
            f"There is nothing to train on: no plane of at least {SMALLEST} x {SMALLEST} pixels was found."
        )
    counts = {_channels(plane) for scene in scenes for plane in scene.captures}
    if len(counts) > 1:
        raise ValueError(
            f"The images have {' and '.join(map(str, sorted(counts)))} colours; to train one model on them, take the "
            "colours apart."
        )
    return Dataset(tuple(scenes), counts.pop())


def _items(data: Any) -> list[Path | Image]:
    """Resolve folders and patterns; leave Images and arrays as they are."""
    if isinstance(data, Image):
        return [data]
    if isinstance(data, str | PathLike):
        return _paths(Path(data))
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        return [Image(data)]
    if isinstance(data, Sequence) and len(data):
        return [item for part in data for item in _items(part)]
    raise ValueError(f"Training data are given as {type(data).__name__}; give files, folders, arrays or Images.")


def _paths(path: Path) -> list[Path | Image]:
    if path.is_dir() and not is_fmd(path):
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in READABLE and not _hidden(p, path))
        if not found:
            raise ValueError(f"There is no image in the folder {path}: {', '.join(READABLE)} are read.")
        return list(found)
    if path.exists():
        return [path]
    if any(letter in str(path) for letter in "*?["):
        root = Path(path.anchor) if path.is_absolute() else Path()
        found = sorted(root.glob(str(path.relative_to(path.anchor)) if path.is_absolute() else str(path)))
        if found:
            return [item for one in found for item in _paths(one)]
        raise FileNotFoundError(f"No file fits the pattern {path}.")
    raise FileNotFoundError(f"There is no file or folder {path}; check the name.")


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _scenes(
    item: Path | Image, repeats: bool, together: bool, axes: str | None, samples: Sequence[str] | None
) -> list[Scene]:
    if isinstance(item, Path) and item.is_dir():
        return _fmd_scenes(item, together, samples)
    source = Source(item, axes)
    groups: dict[tuple[Any, ...], list[Plane]] = {}
    for number, plane in enumerate(_planes(source, together)):
        key = tuple("all" if a == "T" else str(i) for a, i in zip(source.letters, plane.index, strict=True))
        groups.setdefault(key if repeats else (number,), []).append(plane)
    return [Scene(tuple(planes)) for planes in groups.values()]


def _fmd_scenes(folder: Path, together: bool, samples: Sequence[str] | None) -> list[Scene]:
    fields: dict[tuple[str, str], list[Plane]] = {}
    clean: dict[tuple[str, str], Plane] = {}
    for capture in read_tree(folder, samples=samples):
        key = capture.sample, capture.field
        fields.setdefault(key, []).extend(_planes(Source(capture.noisy), together))
        if capture.clean is not None and key not in clean:
            clean[key] = _planes(Source(capture.clean), together)[0]
    return [Scene(tuple(planes), clean.get(key)) for key, planes in fields.items()]


def _planes(source: Source, together: bool) -> list[Plane]:
    """List the planes in the order of storage; with the channels apart each is a plane of its own."""
    together = together and source.is_rgb
    whole = "YXC" if together else "YX"
    lengths = [1 if a in whole else n for a, n in zip(source.letters, source.shape, strict=True)]
    at = source.letters.find("C")
    planes = []
    for places in np.ndindex(*lengths):
        index = tuple(slice(None) if a in whole else i for a, i in zip(source.letters, places, strict=True))
        planes.append(Plane(source, index, None if together or at < 0 else places[at]))
    return planes


def _channels(plane: Plane) -> int:
    at = plane.source.letters.find("C")
    return plane.source.shape[at] if at >= 0 and isinstance(plane.index[at], slice) else 1


def _singles(scenes: list[Scene]) -> list[Plane]:
    return [plane for scene in scenes for plane in scene.captures]


def _paired(noisy: list[Plane], others: list[Plane], clean: bool) -> list[Scene]:
    if [p.size for p in noisy] != [p.size for p in others]:
        raise ValueError(
            f"The {len(noisy)} planes and their {len(others)} targets do not match in number or size; give one target "
            "for each image, sorted the same way."
        )
    pairs = zip(noisy, others, strict=True)
    return [Scene((a,), b) if clean else Scene((a, b)) for a, b in pairs]
