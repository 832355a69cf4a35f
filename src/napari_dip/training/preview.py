"""The crop that is shown denoised while a network learns."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.data_sets.dataset import Dataset
from napari_dip.images.image import Image
from napari_dip.noise.even_noise import Normalisation, measure_normalisation
from napari_dip.settings import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.nets.filter_unet import BlurredUNet

SIDE = 256  # pixels of the crop that is shown where none was chosen


@dataclass(frozen=True)
class Preview:
    """A crop, YX or CYX of several channels, and its map to units of the noise."""

    noisy: Image
    normalisation: Normalisation

    @classmethod
    def from_data(cls, data: Dataset, how: Trained) -> Preview:
        """Take the middle of the first plane of a data set."""
        plane = data.planes[0]
        height, width = plane.size
        tall, wide = min(SIDE, height), min(SIDE, width)
        crop = plane.read(data.cache, (height - tall) // 2, (width - wide) // 2, tall, wide)
        return cls(_image(crop, plane.source.name), data.normalisation(plane, how.stabilise))

    @classmethod
    def from_image(
        cls, image: Any, how: Trained, channels: int, axes: str | None = None
    ) -> Preview:
        """Take the first plane of a chosen image; `axes` are those of the training data.

        Raises
        ------
        ValueError
            If it has other channels than the training data.
        """
        data = _read_data(image, how, axes)
        if data.channels != channels:
            raise ValueError(
                f"The preview has {data.channels} channels, the training data {channels}; choose "
                "another."
            )
        plane = data.planes[0]
        crop = plane.read(data.cache, 0, 0, *plane.size)
        return cls(
            _image(crop, plane.source.name),
            measure_normalisation([crop], how.stabilise, "The preview"),
        )

    def denoise(self, net: BlurredUNet) -> Image:
        """Denoise it in one orientation."""
        import torch

        from napari_dip.noise.units import UNIT

        device = next(net.parameters()).device
        noisy = np.asarray(self.noisy.pixels, dtype=np.float64)
        x = torch.from_numpy(
            self.normalisation.apply(noisy if noisy.ndim == 3 else noisy[None]) / np.float32(UNIT)
        )
        with torch.no_grad():
            answer = (net.for_noise(self.normalisation.hole) or net)(x[None].to(device))
        z = answer[0].cpu().double().numpy() * UNIT
        pixels = self.normalisation.undo(z).astype(np.float32)
        return self.noisy.with_pixels(pixels if noisy.ndim == 3 else pixels[0])


def _read_data(image: Any, how: Trained, axes: str | None) -> Dataset:
    together, keep = how.colours == "together", how.keeps_hot_pixels
    if axes is not None:
        with suppress(ValueError):  # of other axes than the data, as a plane beside stacks
            return build_dataset(image, together=together, axes=axes, keep_hot_pixels=keep)
    return build_dataset(image, together=together, keep_hot_pixels=keep)


def _image(crop: NDArray[np.float64], name: str) -> Image:
    return Image(crop if len(crop) > 1 else crop[0], "CYX" if len(crop) > 1 else "YX", name=name)
