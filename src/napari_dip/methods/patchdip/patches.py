"""The overlapping patches of one image, as a network makes them from a fixed z of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_dip.engine.tiles import Tiles
from napari_dip.methods.patchdip.bands import BANDS, REACH, rings_and_bands
from napari_dip.nets.base import AMPLITUDE, PriorNet, zero
from napari_dip.nets.blind_spot import RING_WIDTHS
from napari_dip.nets.gaussian import mirror
from napari_dip.noise.units import UNIT

SLOPE = 4.0  # of a sigmoid's inverse at its middle: weights of bands lie within 2 around 0
RIDGE = 1e-6  # of the calibration, in units of the averaged image's variance


class Patches:
    """Patches that are the network's own output.

    Parameters
    ----------
    y : Tensor
        Shape (C, Y, X), the noisy image.
    tiles : Tiles
        Where the patches lie.
    seed : int
        Of the z's.

    Attributes
    ----------
    outputs : int
        Channels that the network has to have.
    shape : tuple of int
        Height and width of the network's output.
    unit : float
        What the loss is measured in.
    """

    unit = 1.0

    def __init__(self, y: Tensor, tiles: Tiles, seed: int) -> None:
        self.y, self.tiles, self.seed = y, tiles, seed
        self.outputs, self.shape = len(y), tiles.shape

    def initialise(self, net: PriorNet) -> None:
        """Bring a new network to where the fit is to start."""

    def inputs(self, net: PriorNet, numbers: Sequence[int]) -> Tensor:
        """Draw the fixed z of some patches, each from a seed of its own; (B, inputs, ...)."""
        size = (net.inputs, *net.input_size(*self.shape))
        seeds = (self.seed * 1_000_003 + number for number in numbers)
        draws = (torch.Generator().manual_seed(seed) for seed in seeds)
        z = torch.stack([torch.rand(size, generator=draw) for draw in draws])
        return (AMPLITUDE * z).to(self.y.device)

    def predict(self, net: PriorNet, z: Tensor, numbers: Sequence[int]) -> Tensor:
        """Make some patches, (B, C, Y', X')."""
        return self.average(net.image(z, *self.shape), numbers)

    def average(self, output: Tensor, numbers: Sequence[int]) -> Tensor:
        """Turn what the network returned for some patches into these, (B, C, Y', X')."""
        return output


class FilteredPatches(Patches):
    """Patches that are local averages of the noisy image, weighted by the network's output.

    Parameters
    ----------
    noise : float
        Standard deviation of the noise in `y`, above 0.
    spacing : int
        Pixels from one place where the network sets the weights to the next; between them they
        change linearly.
    """

    def __init__(self, y: Tensor, tiles: Tiles, seed: int, noise: float, spacing: int) -> None:
        super().__init__(y, tiles, seed)
        self.centre, self.unit = y.mean(), UNIT * noise
        self.padded = mirror((y - self.centre) / self.unit, REACH)
        height, width = tiles.shape
        self.outputs, self.shape = BANDS * len(y), (-(-height // spacing), -(-width // spacing))
        self.mixture = self._best_mixture()

    def initialise(self, net: PriorNet) -> None:
        """Zero the last convolution: the weights of all bands are 0, which is a calibrated blur."""
        *_, last = (module for module in net.modules() if isinstance(module, nn.Conv2d))
        zero(last)

    def average(self, output: Tensor, numbers: Sequence[int]) -> Tensor:
        """Average as the network says at the places, (B, BANDS * C, ...), to (B, C, Y', X')."""
        rings, bands = self._rings_and_bands(numbers)
        maps = SLOPE * (output - 0.5)
        maps = functional.interpolate(
            maps, size=self.tiles.shape, mode="bilinear", align_corners=False
        )
        patches: Tensor = torch.einsum("brcyx,rc->bcyx", rings, self.mixture[:-1])
        patches = patches + self.mixture[-1][:, None, None]
        patches = patches + (maps.reshape(bands.shape) * bands).sum(1)
        return patches * self.unit + self.centre

    def _rings_and_bands(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return (B, rings, C, Y', X') and (B, BANDS, C, Y', X') of some patches."""
        places = (self.tiles.places[number] for number in numbers)
        crops = [
            self.padded[:, y.start : y.stop + 2 * REACH, x.start : x.stop + 2 * REACH]
            for y, x in places
        ]
        with torch.no_grad():
            return rings_and_bands(torch.stack(crops))

    def _best_mixture(self) -> Tensor:
        """Return weights of the rings and a constant that predict the image best, (rings + 1, C).

        As `napari_dip.nets.blind_spot.best_mixture`, patch by patch, as everything here.
        """
        size = len(RING_WIDTHS) + 1
        gram = torch.zeros(len(self.y), size, size, dtype=torch.float64)
        right = torch.zeros(len(self.y), size, dtype=torch.float64)
        for number, (rows, columns) in enumerate(self.tiles.places):
            rings = self._rings_and_bands([number])[0][0].transpose(0, 1).flatten(2)
            rings = rings.cpu().double()  # (C, rings, pixels)
            terms = torch.cat([rings, torch.ones_like(rings[:, :1])], dim=1)
            target = (self.y[:, rows, columns] - self.centre) / self.unit
            target = target.flatten(1).cpu().double()
            # Sums up to 1 over all patches.
            weight = torch.as_tensor(self.tiles.weight(number)).flatten() / self.y[0].numel()
            gram += (terms * weight) @ terms.mT
            right += ((terms * weight) @ target[..., None])[..., 0]
        gram += RIDGE * torch.eye(size, dtype=torch.float64)
        mixture: Tensor = torch.linalg.solve(gram, right[..., None])[..., 0]
        return mixture.T.to(self.y)


def cut_patches(image: Tensor, tiles: Tiles, numbers: Sequence[int]) -> Tensor:
    """Cut patches out of (C, Y, X), as (B, C, Y', X')."""
    return torch.stack([image[(slice(None), *tiles.places[number])] for number in numbers])
