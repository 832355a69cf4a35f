"""A synthetic time-lapse with its truth: cells drift and change shape, organelles move and divide.

Each cell is an outline in polar coordinates whose lobes travel around it. What lies inside, texture
and organelles, is given relative to the outline, and is stretched and carried along by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

OFFSET, READ_NOISE = 100.0, 2.0  # camera counts; a photon is one count
BACKGROUND, CYTOPLASM, RIM, SPOT = 3.0, 12.0, 9.0, 22.0  # photons
CELL_AREA = 2600  # pixels of the field for each cell
WIDTH = 1.3  # standard deviation of an organelle in pixels
LOBES = np.arange(2, 5)
ORGANELLES = 9  # of a cell


def moving_cells(
    seed: int = 0, frames: int = 20, size: int = 128
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Make a noisy time-lapse and its truth.

    Parameters
    ----------
    seed : int
        Same seed, same pixels; a longer time-lapse of one seed is another one.
    frames, size : int
        Length, and side of the square planes in pixels.

    Returns
    -------
    noisy : (T, Y, X) uint16 array
        Camera counts: photons with Poisson noise, read noise of 2 and an offset of 100.
    clean : (T, Y, X) float32 array
        What `noisy` would be on average.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(float)
    photons = np.full((frames, size, size), BACKGROUND)
    for centre in _centres(rng, size):
        drift = np.cumsum(_wander(rng, frames, 0.35) + rng.normal(0, 0.25, (1, 2)), axis=0)
        photons += _cell(rng, centre + drift - drift[frames // 2], y, x)
    noisy = rng.poisson(photons) + rng.normal(OFFSET, READ_NOISE, photons.shape)
    return (
        np.clip(np.rint(noisy), 0, 65535).astype(np.uint16),
        (photons + OFFSET).astype(np.float32),
    )


def _centres(rng: np.random.Generator, size: int) -> Floats:
    """Place cells one by one, each where it is furthest from those before among 40 places."""
    chosen = rng.uniform(0.2, 0.8, (1, 2)) * size
    while len(chosen) < max(1, size**2 // CELL_AREA):
        places = rng.uniform(-0.02, 1.02, (40, 2)) * size
        nearest = np.linalg.norm(places[:, None] - chosen, axis=2).min(axis=1)
        chosen = np.append(chosen, places[[nearest.argmax()]], axis=0)
    return chosen


def _wander(rng: np.random.Generator, frames: int, std: float) -> Floats:
    """Return a smooth random function of time, (T, 2), of standard deviation `std`."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(rng.normal(0, 1, (frames + 24, 2)), 3, axis=0)[12 : 12 + frames]
    return std * smooth * np.sqrt(2 * np.sqrt(np.pi) * 3)


def _cell(rng: np.random.Generator, centres: Floats, y: Floats, x: Floats) -> Floats:
    """Draw one cell, (T, Y, X) in photons; `centres` is (T, 2)."""
    from scipy.ndimage import gaussian_filter, map_coordinates
    from scipy.special import expit

    frames = len(centres)
    radius, phase = rng.uniform(15, 21), rng.uniform(0, 2 * np.pi, 3)
    lobe, speed = rng.normal(0, 0.3, 3) / LOBES, rng.normal(0, 0.1, 3)
    field = gaussian_filter(rng.normal(0, 1, (96, 96)), 2.2)
    field /= field.std()

    def outline(angle: Floats, t: NDArray[np.int_] | int) -> Floats:
        waves = np.cos(LOBES * (angle[..., None] - phase) - speed * np.expand_dims(t, -1))
        return np.asarray(radius * (1 + waves @ np.clip(lobe, -0.22, 0.22)))

    cell = np.empty((frames, *y.shape))
    heart = rng.normal(0, 0.15, 2)
    for t, (cy, cx) in enumerate(centres):
        dy, dx = y - cy, x - cx
        edge = outline(np.arctan2(dy, dx), t)
        v, u = dy / edge, dx / edge  # the outline is where v^2 + u^2 = 1
        depth = (np.hypot(v, u) - 1) * radius  # in pixels; negative inside
        texture = np.exp(0.35 * map_coordinates(field, [48 + 28 * v, 48 + 28 * u], order=1))
        nucleus = expit(14 * (0.4 - np.hypot(v - heart[0], u - heart[1])))
        cell[t] = expit(-depth) * CYTOPLASM * texture * (1 - 0.65 * nucleus)
        cell[t] += RIM * np.exp(-((depth / 1.4) ** 2))
    paths, bright = _organelles(rng, frames)
    reach = outline(np.arctan2(paths[..., 0], paths[..., 1]), np.arange(frames))
    return cell + _spots(centres + paths * reach[..., None], bright, y.shape)


def _organelles(rng: np.random.Generator, frames: int) -> tuple[Floats, Floats]:
    """Return paths, (n, T, 2), inside a circle of radius 1, and heights, (n, T).

    The last two are one organelle that divides.
    """
    starts = rng.uniform(-0.65, 0.65, (ORGANELLES, 1, 2))
    steps = np.stack([_wander(rng, frames, 0.035) for _ in range(ORGANELLES)])
    paths = starts + np.cumsum(steps, axis=1)
    bright = np.repeat(rng.uniform(0.5, 1.3, (ORGANELLES, 1)), frames, axis=1)
    time = np.arange(frames) - rng.uniform(0.3, 0.7) * frames
    angle = rng.uniform(0, 2 * np.pi)
    apart = 0.02 * np.log1p(np.exp(time))[:, None] * [np.sin(angle), np.cos(angle)]
    paths = np.concatenate([paths[:-1], paths[-1:] - apart, paths[-1:] + apart])
    bright = np.concatenate([bright[:-1], np.full((2, frames), 0.75)])
    far = np.linalg.norm(paths, axis=2, keepdims=True)
    return paths / np.maximum(far, 1e-9) * np.tanh(far / 0.85) * 0.85, SPOT * bright


def _spots(places: Floats, bright: Floats, shape: tuple[int, ...]) -> Floats:
    """Draw Gaussian spots at (n, T, 2) places, of (n, T) heights."""
    along_y, along_x = (
        np.exp(-(((np.arange(side) - places[..., axis, None]) / WIDTH) ** 2) / 2)
        for axis, side in enumerate(shape)
    )
    return np.asarray(np.einsum("nt,nty,ntx->tyx", bright, along_y, along_x))
