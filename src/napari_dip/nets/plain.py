"""A plain network of 3x3 convolutions at the image's size, for methods that need little."""

from __future__ import annotations

from torch import Tensor, nn


class PlainNet(nn.Module):
    """Some 3x3 convolutions and a last one of 1x1; sides stay, borders are continued.

    Parameters
    ----------
    colours : int
        Channels of what comes in, and of what goes out where `outputs` is not given.
    channels : int
        Width in between.
    layers : int
        3x3 convolutions, each followed by a leaky ReLU.
    slope : float
        Of the leaky ReLU below 0.
    outputs : int, optional
        Channels of what goes out.
    """

    def __init__(
        self,
        colours: int,
        channels: int,
        layers: int,
        slope: float = 0.2,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for number in range(layers):
            inputs = channels if number else colours
            parts += [
                nn.Conv2d(inputs, channels, 3, padding=1, padding_mode="replicate"),
                nn.LeakyReLU(slope, inplace=True),
            ]
        self.layers = nn.Sequential(*parts, nn.Conv2d(channels, outputs or colours, 1))

    def forward(self, y: Tensor) -> Tensor:
        """Map (B, colours, Y, X) to (B, outputs, Y, X)."""
        mapped: Tensor = self.layers(y)
        return mapped
