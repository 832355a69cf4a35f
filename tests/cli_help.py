"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.read_write import write
from napari_dip.images.image import Image
from napari_dip.snapshot import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from napari_dip.settings import Settings

Fit = Callable[..., Iterator[Snapshot]]
FEW = ["--steps", "3"]


def quick(image: Image, how: Settings, *, device: str = "auto") -> Iterator[Snapshot]:
    """A fit with no network: its answer is the input and 0.25, to show types and clipping."""
    for step in range(1, 4):

        def make(step: int = step) -> Image:
            return image.with_pixels(
                np.asarray(image.pixels, dtype=np.float32) + 0.25 * (step == 3)
            )

        record = {"method": "dip", "settings": how.to_json(), "device": device}
        yield Snapshot(step, 3, 1 / step, 1 / step, step, 0, 1, "", record, make)


def fit_quickly(monkeypatch: pytest.MonkeyPatch, fit: Fit = quick) -> None:
    """Have another function do the work on whole images; it knows no ranges of stacks."""
    monkeypatch.setattr("napari_dip.api.iter_denoise", fit)
    monkeypatch.setattr("napari_dip.batch.kept_planes.can_be_kept", lambda *_: False)


def save(
    path: Path, shape: tuple[int, ...] = (16, 17), dtype: str = "uint16", **about: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    write(path, Image(pixels, **about))
    return path


def leftovers(folder: Path) -> list[str]:
    """Every file under a folder, hidden ones too, but for the table of a batch."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.stem != "napari-dip-report")
    return sorted(p.relative_to(folder).as_posix() for p in files)
