"""The crop that is shown denoised while a network learns."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.data_sets.dataset import Dataset
from napari_dip.data_sets.sources import Plane
from napari_dip.images.image import Image
from napari_dip.images.part import WHOLE, Part
from napari_dip.noise.even_noise import Normalisation, measure_normalisation
from napari_dip.settings import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_dip.engine.out_of_memory import MemoryPlan
    from napari_dip.nets.filter_unet import BlurredUNet

SIDE = 256  # pixels of the crop that is shown where none was chosen


@dataclass(frozen=True)
class Preview:
    """A crop, YX or CYX of several channels, its map to units of the noise, and it in these units.

    `seen` is (planes, C, Y, X): the crop, and those of the planes near it where a network sees any.
    """

    noisy: Image
    normalisation: Normalisation
    seen: Tensor

    @classmethod
    def from_data(cls, data: Dataset, how: Trained) -> Preview:
        """Take the middle of the first plane of a data set."""
        plane = data.planes[0]
        height, width = plane.size
        tall, wide = min(SIDE, height), min(SIDE, width)
        where = (height - tall) // 2, (width - wide) // 2, tall, wide
        return cls._of(data, plane, data.normalisation(plane, how.stabilise), where)

    @classmethod
    def from_image(
        cls,
        image: Any,
        how: Trained,
        channels: int,
        axes: str | None = None,
        part: Part = WHOLE,
    ) -> Preview:
        """Take the first plane of a chosen image.

        `axes` and `part` are those of the training data, of which an image with several channels
        or series has the channel and the series.

        Raises
        ------
        ValueError
            If it has other channels than the training data, or too few planes.
        """
        data = _read_data(image, how, axes, part).with_neighbours(how.neighbours)
        if data.channels != channels:
            raise ValueError(
                f"The preview has {data.channels} channels, the training data {channels}; choose "
                "another."
            )
        plane = data.planes[0]
        crop = plane.read(data.cache, 0, 0, *plane.size)
        normalisation = measure_normalisation([crop], how.stabilise, "The preview")
        return cls._of(data, plane, normalisation, (0, 0, *plane.size))

    @classmethod
    def _of(
        cls,
        data: Dataset,
        plane: Plane,
        normalisation: Normalisation,
        where: tuple[int, int, int, int],
    ) -> Preview:
        from napari_dip.training.plane_crops import PlaneCrops

        noisy = _image(plane.read(data.cache, *where), plane.source.name)
        return cls(noisy, normalisation, PlaneCrops(data).read(plane, normalisation, *where))

    def denoise(self, net: BlurredUNet, plan: MemoryPlan | None = None) -> Image:
        """Denoise it in one orientation, in tiles or on the CPU where the plan says so."""
        import torch

        from napari_dip.engine.out_of_memory import MemoryPlan, compute
        from napari_dip.models.tiled_apply import apply_in_tiles, tile_side
        from napari_dip.noise.units import UNIT

        plan = plan or MemoryPlan(next(net.parameters()).device)

        def answer() -> Tensor:
            here = plan.place(net)
            denoiser = here.for_noise(self.normalisation.hole) or here
            x = (self.seen.flatten(0, 1) / UNIT)[None].to(next(here.parameters()).device)
            tile = plan.side(tile_side(denoiser, x.device, 1, max(x.shape[-2:])))
            with torch.no_grad():
                return apply_in_tiles(denoiser, x, tile)[0]

        z = compute(answer, plan).cpu().double().numpy() * UNIT
        pixels = self.normalisation.undo(z).astype(np.float32)
        return self.noisy.with_pixels(pixels if len(self.noisy.shape) == 3 else pixels[0])


def _read_data(image: Any, how: Trained, axes: str | None, part: Part) -> Dataset:
    read = partial(
        build_dataset, together=how.colours == "together", keep_hot_pixels=how.keeps_hot_pixels
    )
    chosen = replace(part, time=None, plane=None)
    for options in ({"axes": axes, "part": chosen}, {"part": chosen}):
        with suppress(ValueError):  # of other axes than the data, as a plane beside stacks
            return read(image, **options)
    return read(image)


def _image(crop: NDArray[np.float64], name: str) -> Image:
    return Image(crop if len(crop) > 1 else crop[0], "CYX" if len(crop) > 1 else "YX", name=name)
