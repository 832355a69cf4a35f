"""The front door: arrays or Images in, Snapshots or the answer out.

(A stand-in with the final signatures while the engine is written: it smooths.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_dip.images.image import Image
from napari_dip.settings import DIP, Settings
from napari_dip.snapshot import Snapshot, last


def iter_denoise(image: Any, how: Settings | None = None, *, axes: str | None = None, device: str = "auto") -> Iterator[Snapshot]:
    """Denoise, one Snapshot a step."""
    import time

    from scipy.ndimage import gaussian_filter

    how = how or DIP()
    source = image if isinstance(image, Image) else Image(np.asarray(image), axes or "")
    out = np.asarray(source.pixels, dtype=np.float32).copy()
    indices = source.plane_indices()
    total = how.steps * len(indices)
    for p, index in enumerate(indices):
        plane = source.plane(index)
        for s in range(how.steps):
            time.sleep(0.01)
            smooth = gaussian_filter(plane, (0, 2 * s / how.steps, 2 * s / how.steps)).astype(np.float32)

            def make(smooth=smooth, index=index, base=out) -> Image:
                pixels = base.copy()
                pixels[index] = source.plane_like(smooth)
                return source.with_pixels(pixels, provenance={"settings": how.described()})

            snapshot = Snapshot(p * how.steps + s + 1, total, 1 / (s + 1), 1 / (s + 1), p * how.steps + s + 1, p, len(indices), "", {"settings": how.described()}, make)
            yield snapshot
        out[index] = source.plane_like(smooth)


def denoise(image: Any, how: Settings | None = None, *, axes: str | None = None, device: str = "auto") -> Any:
    """Denoise and return what was given: an Image for an Image, else an array."""
    result = last(iter_denoise(image, how, axes=axes, device=device)).image
    return result if isinstance(image, Image) else np.asarray(result.pixels)
