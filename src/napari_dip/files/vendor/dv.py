"""DV of DeltaVision, by mrc (BSD-3-Clause)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.pixel_sizes import Calibration
from napari_dip.files.vendor.scene import Place, Scene, vendor_format
from napari_dip.images.details import Details

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def open_dv(path: Path) -> list[Scene]:
    """Describe the image of a DV file, which is mapped."""
    import mrc

    file = mrc.DVFile(path)
    header, size = file.hdr, file.voxel_size
    sizes = dict(file.sizes)
    order = [a for a in sizes if a in "TZC"]
    waves = (header.wave1, header.wave2, header.wave3, header.wave4, header.wave5)
    about = [{"EmissionWavelength": float(w)} if w > 0 else {} for w in waves[: header.nc]]
    calibration: Calibration = {
        axis: (round(float(step), 6), "um")
        for axis, step in zip("XYZ", (size.x, size.y, size.z), strict=True)
        if step > 0
    }
    names = tuple(f"{wave} nm" if wave > 0 else "" for wave in waves[: header.nc])
    read = partial(_plane, file, order)
    dtype = np.dtype(file.dtype).newbyteorder("=")
    details = Details(channels=tuple(about))
    return [Scene("", sizes, dtype, read, calibration, names, details)]


def _plane(file: Any, order: list[str], place: Place) -> NDArray[Any]:
    return np.asarray(file.data[tuple(place.get(a, 0) for a in order)])


DV = vendor_format("DV", (".dv", ".r3d"), "mrc", open_dv)
