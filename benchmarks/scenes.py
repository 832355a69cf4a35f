"""Stacks with truth, to measure what a denoiser makes of the planes before and after.

Each function returns (noisy, clean), float32 (T or Z, Y, X), the same for the same seed; `blink` and `z_stack` return the
places of their spots or beads too. `SCENES` names them all: settings are tuned on `TUNING` and reported on `TEST`, which
share no field.

Fields of FMD are averages of 50 captures (range 255), smoothed a little so that what is left of their noise does not move
along, and moved by cubic splines. Their noise is drawn anew with the gain and the offset measured on the single capture:
it is Poisson noise above an offset of about 3. Nothing is rounded or clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from common import DATA, centre, pair
from scipy import ndimage, signal, special

from napari_dip import read
from napari_dip.noise.anscombe import PoissonGaussian
from napari_dip.noise.measure import estimate_noise
from napari_dip.widgets.napari_hooks.moving_cells import moving_cells

Stack = tuple[np.ndarray, np.ndarray]  # noisy, clean
Marked = tuple[np.ndarray, np.ndarray, np.ndarray]  # and the places, (n, 3): plane, y, x

FRAMES, SIZE = 12, 128
SMOOTHING = 0.8  # pixels, of a field before it is moved
MARGIN = 12  # pixels that a cubic spline and the blur need around what is looked at
WIDTH = 1.3  # standard deviation of a spot that blinks, in pixels
APART = 13  # least distance of two spots that blink, whatever their frames, in pixels


def captures(
    seed: int = 0, frames: int = 20, size: int = SIZE, corner: tuple[int, int] | None = None
) -> Stack:
    """Return real captures of one still field, in an order of the seed's, against the average of the others of 50.

    That average has noise of its own, 16 dB below theirs. By default the centre is cut.
    """
    folder = DATA / "fmd_confocal_bpae_b_fov01"
    names = np.random.default_rng(seed).permutation(sorted(folder.glob("raw_*.png")))[:frames]
    planes = [
        np.asarray(read(path).pixels, np.float32) for path in (folder / "gt_avg50.png", *names)
    ]
    if corner is None:
        planes = [centre(plane, size) for plane in planes]
    else:
        top, left = corner
        planes = [plane[top : top + size, left : left + size] for plane in planes]
    clean = (50 * planes[0] - sum(planes[1:])) / (50 - len(names))
    return np.stack(planes[1:]), np.stack([clean] * len(names))


def moving(
    content: str,
    pixels: float = 0.8,
    seed: int = 0,
    *,
    turn: float = 0.3,
    jerky: bool = False,
    frames: int = FRAMES,
    size: int = SIZE,
) -> Stack:
    """Move a field of FMD by `pixels` and turn it by `turn` degrees a frame; `jerky`: by chance, and to anywhere."""
    clean, noise, rng = _moved(content, pixels, seed, turn, jerky, frames, size)
    return _noisy(clean, noise, rng), clean


def still(content: str, seed: int = 0, *, frames: int = FRAMES, size: int = SIZE) -> Stack:
    """Return a field that does not move, to see how far a still pixel of the answer flickers."""
    return moving(content, 0, seed, turn=0, frames=frames, size=size)


def deforming_cells(seed: int = 0, *, frames: int = FRAMES, size: int = SIZE) -> Stack:
    """Return the time-lapse of the plugin's sample data: cells change shape, organelles move and divide."""
    noisy, clean = moving_cells(seed, frames, size)
    return noisy.astype(np.float32), clean


def blink(
    content: str, seed: int = 0, *, height: float = 60.0, frames: int = FRAMES, size: int = SIZE
) -> Marked:
    """Light up spots on a still field, each in one frame only; no two are near each other in any frames.

    `height` is that of a spot's middle in the truth, of a standard deviation of 1.3 pixels.
    """
    clean, noise, rng = _moved(content, 0, seed, 0, False, frames, size)
    places: list[np.ndarray] = []
    for place in rng.integers((0, 8, 8), (frames, size - 8, size - 8), (4000, 3)):
        if all(np.hypot(*(place - other)[1:]) >= APART for other in places):
            places.append(place)
    y, x = np.mgrid[:size, :size]
    for t, top, left in places:
        clean[t] += height * np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * WIDTH**2))
    return _noisy(clean, noise, rng), clean, np.stack(places)


def shuffled(content: str, pixels: float = 3.5, seed: int = 0, *, frames: int = FRAMES) -> Stack:
    """Return the frames of a moving field in an order by chance."""
    order = np.random.default_rng(seed + 1).permutation(frames)
    noisy, clean = moving(content, pixels, seed, frames=frames)
    return noisy[order], clean[order]


def cut(first: str, second: str, seed: int = 0, *, frames: int = FRAMES) -> Stack:
    """Return two fields that have nothing to do with each other, one after the other."""
    parts = [moving(content, 0.8, seed, frames=frames) for content in (first, second)]
    half = frames // 2
    noisy, clean = (np.concatenate([a[:half], b[half:]]) for a, b in zip(*parts, strict=True))
    return noisy, clean


def two_positions(first: str, second: str, seed: int = 0, *, frames: int = FRAMES) -> Stack:
    """Return a file in which two positions of the stage take turns; each field holds still."""
    parts = [still(content, seed, frames=frames) for content in (first, second)]
    is_first = (np.arange(frames) % 2 == 0)[:, None, None]
    noisy, clean = (np.where(is_first, a, b) for a, b in zip(*parts, strict=True))
    return noisy, clean


def blank_frames(content: str, seed: int = 0, *, frames: int = FRAMES) -> Stack:
    """Spoil three frames of a moving field: NaN (in both), all 0, and read noise of 2 with the shutter closed."""
    clean, noise, rng = _moved(content, 0.8, seed, 0.3, False, frames, SIZE)
    noisy = _noisy(clean, noise, rng)
    missing, zero, closed = frames // 4, 3 * frames // 4, frames // 2
    noisy[missing] = clean[missing] = np.nan
    noisy[zero] = clean[zero] = 0
    clean[closed] = -noise.variance / noise.gain
    noisy[closed] = clean[closed] + rng.normal(0, 2, clean[closed].shape)
    return noisy, clean


def bleaching(content: str, seed: int = 0, *, left: float = 0.3, frames: int = FRAMES) -> Stack:
    """Let the photons of a moving field fade exponentially to the share `left`."""
    clean, noise, rng = _moved(content, 0.8, seed, 0.3, False, frames, SIZE)
    offset = max(-noise.variance / noise.gain, 0)
    fade = left ** (np.arange(frames) / (frames - 1))
    clean = (offset + (clean - offset) * fade[:, None, None]).astype(np.float32)
    return _noisy(clean, noise, rng), clean


def z_stack(seed: int = 0, *, frames: int = FRAMES, size: int = SIZE) -> Marked:
    """Image cells and beads of 0.2 um by a confocal microscope: 0.1 um pixels, planes 0.3 um apart.

    One count is one photon, above an offset of 20; read noise 2. A bead's middle has 30 to 110 photons where it is in
    focus; no two are near each other in any planes. Places are in planes and pixels, and may lie between planes.
    """
    rng = np.random.default_rng(seed)
    fine, pad = 3, 24  # voxels of 0.1 um; around the stack, so that light comes in from there too
    shape = (fine * frames + 2 * pad, size + 2 * pad, size + 2 * pad)
    cells = _ellipsoids(rng, shape)
    inner = np.array(shape) - pad
    places: list[np.ndarray] = []
    for place in rng.integers(pad + np.array((3, 8, 8)), inner - (3, 8, 8), (3000, 3)):
        apart = all(np.hypot(*(place - other)[1:]) >= APART for other in places)
        if apart and cells[:, place[1], place[2]].max() < 0.02 and len(places) < 40:
            places.append(place)
    at = np.stack(places)
    beads = np.zeros(shape)
    beads[tuple(at.T)] = rng.uniform(30, 110, len(at))
    spread = point_spread()
    of_bead = ndimage.gaussian_filter(spread, 0.6)
    cells, beads = (
        signal.fftconvolve(objects, light, "same")[pad:-pad:fine, pad:-pad, pad:-pad]
        for objects, light in ((cells, spread), (beads, of_bead / of_bead.max()))
    )
    photons = 3 + np.maximum(60 * cells / np.percentile(cells, 99.5) + beads, 0)
    noisy = rng.poisson(photons) + rng.normal(20, 2, photons.shape)
    where = (at - pad) / (fine, 1, 1)
    return noisy.astype(np.float32), (photons + 20).astype(np.float32), where


def point_spread(
    step: float = 0.1,
    reach: tuple[int, int] = (20, 16),
    *,
    wavelength: float = 0.52,
    aperture: float = 1.3,
    immersion: float = 1.515,
    sample: float = 1.38,
    depth: float = 4.0,
) -> np.ndarray:
    """Compute a confocal point-spread function, (Z, Y, X), its brightest voxel 1; lengths in um.

    The scalar integral over the pupil (Born and Wolf), with the phase of a sample whose refractive index is not that of
    the oil (Gibson and Lanni 1991, doi:10.1364/JOSAA.8.001601), squared for excitation and detection.
    """
    pupil = (np.arange(400) + 0.5) / 400
    radius = np.linspace(0, reach[1] * step * 1.5, 200)
    z = step * np.arange(-3 * reach[0], 3 * reach[0] + 1)
    wave = 2 * np.pi / wavelength
    in_oil, in_sample = (np.sqrt(n**2 - (aperture * pupil) ** 2) for n in (immersion, sample))
    phase = wave * (z[:, None] * in_sample + depth * (in_sample - in_oil))
    bessel = special.j0(wave * aperture * radius[:, None] * pupil)
    table = np.abs(np.exp(1j * phase) * pupil @ bessel.T) ** 4  # (z, radius)
    focus = int(np.clip(table[:, 0].argmax(), reach[0], len(z) - 1 - reach[0]))
    table = table[focus - reach[0] : focus + reach[0] + 1]
    y, x = step * np.mgrid[-reach[1] : reach[1] + 1, -reach[1] : reach[1] + 1]
    spread = np.stack([np.interp(np.hypot(y, x), radius, row) for row in table])
    return spread / spread.max()


def _ellipsoids(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw cells that do not touch: a bright skin, textured inside, a dark nucleus."""
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    texture = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    texture = np.exp(0.6 * texture / texture.std())
    cells, middles = np.zeros(shape), np.empty((0, 3))
    for middle in rng.uniform((0.3, 0.1, 0.1), (0.7, 0.9, 0.9), (60, 3)) * shape:
        if (np.hypot(*(middles - middle)[:, 1:].T) < 54).any():
            continue
        middles = np.append(middles, [middle], axis=0)
        axes = rng.uniform((16, 18, 18), (30, 26, 26))
        away = np.sqrt(sum(((g - m) / a) ** 2 for g, m, a in zip(grid, middle, axes, strict=True)))
        inside, nucleus = special.expit((1 - away) * 25), special.expit((0.45 - away) * 20)
        cells += inside * texture * (1 - 0.8 * nucleus) + 3 * np.exp(-(((away - 1) * 25) ** 2))
    return cells


def _moved(
    content: str, pixels: float, seed: int, turn: float, jerky: bool, frames: int, size: int
) -> tuple[np.ndarray, PoissonGaussian, np.random.Generator]:
    """Return the moved field, (T, Y, X) float32, the noise of its single capture, and the generator."""
    raw, average = pair(content, 512)
    field = ndimage.gaussian_filter(average.astype(np.float64), SMOOTHING)
    rng = np.random.default_rng(seed)
    path, angles = _path(rng, frames, pixels, turn, jerky)
    spline = ndimage.spline_filter(field)
    middle = (np.array(field.shape) - 1) / 2
    grid = np.mgrid[:size, :size].reshape(2, -1) - (size - 1) / 2
    clean = np.empty((frames, size, size), np.float32)
    for t, (shift, angle) in enumerate(zip(path, np.deg2rad(angles), strict=True)):
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        at = rotation @ grid + (middle + shift)[:, None]
        if at.min() < MARGIN or (at.max(axis=1) > np.array(field.shape) - 1 - MARGIN).any():
            raise ValueError(
                f"{content} moves out of its field of {field.shape} within {frames} frames of "
                f"{pixels} pixels: take fewer or smaller ones."
            )
        clean[t] = ndimage.map_coordinates(spline, at, prefilter=False).reshape(size, size)
    return np.maximum(clean, 0), estimate_noise([raw[None].astype(np.float64)]), rng


def _path(
    rng: np.random.Generator, frames: int, pixels: float, turn: float, jerky: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return shifts (T, 2) in pixels and angles (T,) in degrees, both 0 on average."""
    way = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.15, frames))
    step, turns = np.full(frames, pixels), np.full(frames, turn)
    if jerky:
        way, step = rng.uniform(0, 2 * np.pi, frames), pixels * rng.uniform(0, 2, frames)
        turns = turn * rng.uniform(-2, 2, frames)
    path = np.cumsum(step[:, None] * np.stack([np.sin(way), np.cos(way)], 1), axis=0)
    angles = np.cumsum(turns)
    return path - path.mean(axis=0), angles - angles.mean()


def _noisy(clean: np.ndarray, noise: PoissonGaussian, rng: np.random.Generator) -> np.ndarray:
    """Draw noise whose variance is ``gain * clean + variance``, photons and read noise."""
    offset = max(-noise.variance / noise.gain, 0.0)
    photons = rng.poisson(np.maximum(clean - offset, 0) / noise.gain)
    read_noise = rng.normal(0, np.sqrt(max(noise.variance, 0.0)), clean.shape)
    return (noise.gain * photons + offset + read_noise).astype(np.float32)


SCENES: dict[str, Callable[..., Stack | Marked]] = {
    **{
        f"{content}_{pixels}": partial(moving, content, pixels)
        for content in ("mice", "fish", "BPAE_G")
        for pixels in (0.8, 3.5)
    },
    **{f"{c}_jerky": partial(moving, c, 3.0, jerky=True) for c in ("mice", "BPAE_G")},
    **{f"{c}_still": partial(still, c) for c in ("mice", "fish", "BPAE_G")},
    "captures": captures,  # mostly dark
    "captures_nuclei": partial(captures, corner=(376, 300)),
    "cells": deforming_cells,
    **{
        f"{c}_blink{height}": partial(blink, c, height=height)
        for c in ("mice", "BPAE_G")
        for height in (15, 25, 60)
    },
    **{f"{c}_bleaching": partial(bleaching, c) for c in ("mice", "BPAE_G")},
    "mice_shuffled": partial(shuffled, "mice"),
    "mice_fish_cut": partial(cut, "mice", "fish"),
    "mice_fish_turns": partial(two_positions, "mice", "fish"),
    "mice_blank": partial(blank_frames, "mice"),
    "z_stack": z_stack,
}
TUNING = tuple(name for name in SCENES if name.startswith(("mice", "fish")))
TEST = tuple(name for name in SCENES if name not in TUNING)
