"""Sample data for File > Open Sample."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.widgets.napari_hooks.moving_cells import moving_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

STACK_SHAPE = (12, 128, 128)
STACK_SCALE = (0.3, 0.1, 0.1)  # micrometres; Z is coarser, as in most stacks
STACK_NOISE = "synthetic: Poisson noise of up to 40 photons, read noise of 3 photons, 100 offset"
MOVIE_SCALE = (2.0, 0.1, 0.1)  # seconds between frames, micrometres
MOVIE_NOISE = "synthetic: Poisson noise of up to 90 photons, read noise of 2 photons, 100 offset"
CLEAN = {"role": "clean"}  # such a layer is never denoised unasked
CITATION = (
    "Zhang et al., A Poisson-Gaussian Denoising Dataset with Real Fluorescence Microscopy Images, "
    "CVPR 2019, arXiv:1812.10366; confocal zebrafish, field of view 1"
)


def fish_pair() -> list[tuple[NDArray[Any], dict[str, Any], str]]:
    """Return a real noisy capture, on top, and the average of 50, hidden; (512, 512) uint8."""
    from tifffile import imread

    pair = []
    for stem, name in (("fish_gt", "fish, average of 50"), ("fish_raw", "fish, noisy")):
        with as_file(files("napari_dip") / "data" / f"{stem}.tif") as path:
            pixels = imread(path)
        look: dict[str, Any] = {
            "name": name,
            "axis_labels": ("y", "x"),
            "contrast_limits": [0, 255],
            "metadata": {"source": CITATION},
        }
        if stem == "fish_gt":
            look |= {"visible": False, "metadata": {"source": CITATION, "napari_dip": CLEAN}}
        pair.append((pixels, look, "image"))
    return pair


def noisy_stack() -> list[tuple[NDArray[np.uint16], dict[str, Any], str]]:
    """Return a synthetic uint16 (Z, Y, X) stack with Poisson-Gaussian noise."""
    look = {
        "name": "noisy stack",
        "scale": STACK_SCALE,
        "units": ("um",) * 3,
        "axis_labels": ("z", "y", "x"),
        "metadata": {"source": STACK_NOISE},
    }
    return [(synthetic_stack(), look, "image")]


def moving_cells_pair() -> list[tuple[NDArray[Any], dict[str, Any], str]]:
    """Return a synthetic (T, Y, X) time-lapse: its truth, hidden, and the noisy uint16, on top."""
    noisy, clean = moving_cells()
    look = {
        "scale": MOVIE_SCALE,
        "units": ("s", "um", "um"),
        "axis_labels": ("t", "y", "x"),
        "contrast_limits": [float(clean.min()), float(clean.max())],
        "metadata": {"source": MOVIE_NOISE},
    }
    made = {"source": MOVIE_NOISE, "napari_dip": CLEAN}
    hidden = {"visible": False, "metadata": made}
    return [
        (clean, look | {"name": "moving cells, truth"} | hidden, "image"),
        (noisy, look | {"name": "moving cells, noisy"}, "image"),
    ]


def synthetic_stack(seed: int = 0) -> NDArray[np.uint16]:
    """Make the noisy stack: filaments as random walks, blobs, optical blur, then camera noise.

    It is in camera counts, one a photon, on an offset of 100; same seed, same pixels.
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    objects = np.zeros(STACK_SHAPE)
    limit = np.array(STACK_SHAPE) - 1
    for _ in range(14):
        turns = np.cumsum(rng.normal(0, 0.08, 400)) + rng.uniform(0, 2 * np.pi)
        path = rng.uniform(0, limit)[:, None] + np.cumsum(
            [rng.normal(0, 0.03, 400), 0.5 * np.sin(turns), 0.5 * np.cos(turns)], axis=1
        )
        inside = ((path >= 0) & (path <= limit[:, None])).all(axis=0)
        np.add.at(objects, tuple(np.rint(path[:, inside]).astype(int)), 1.0)
    filaments = gaussian_filter(objects, (0.6, 1.0, 1.0))
    objects[:] = 0
    np.add.at(objects, tuple(rng.integers(0, np.array(STACK_SHAPE)[:, None], (3, 25))), 1.0)
    blobs = gaussian_filter(objects, (1.3, 3.5, 3.5))
    clean = (
        2
        + 25 * np.minimum(filaments / np.percentile(filaments, 99.5), 1)
        + 15 * blobs / blobs.max()
    )
    noisy = rng.poisson(clean) + rng.normal(100, 3, STACK_SHAPE)
    return np.clip(np.rint(noisy), 0, 65535).astype(np.uint16)
