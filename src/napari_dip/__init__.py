"""Denoise microscopy images without clean training data: BlindSpot, DIP, PatchDIP, trained models.

Names are loaded on first use: importing the package loads neither torch nor napari.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
