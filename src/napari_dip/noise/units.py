"""The unit in which networks see an image."""

from __future__ import annotations

UNIT = 3.0  # a network's input is divided by three times the noise: its noise has a standard deviation of 1/3
