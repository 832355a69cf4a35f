"""Every method's settings: the one place where a default, its unit, its bounds and its help text stand.

A settings object IS the choice of method and of all its knobs. The dock's form, the command line's flags, the table in
the docs and the provenance record are read off these classes; `knobs` gives them to whoever builds such a thing.
"""

from __future__ import annotations

from napari_dip.settings.base import Knob, Settings, explain, knob, knobs
from napari_dip.settings.dip import DIP
from napari_dip.settings.patchdip import PatchDIP
from napari_dip.settings.prior import BlindSpotSettings, PriorSettings
from napari_dip.settings.restore import Guided, Inpaint, Invert, Upscale
from napari_dip.settings.trained import IDDP, N2N, N2V, Nb2Nb, Supervised, Trained

METHODS: dict[str, type[Settings]] = {
    cls.method: cls for cls in (DIP, PatchDIP)
}  # fitted to the image
TRAINED: dict[str, type[Trained]] = {cls.method: cls for cls in (IDDP, N2V, Nb2Nb, N2N, Supervised)}

RESTORATIONS: dict[str, type[PriorSettings]] = {
    "inpaint": Inpaint,
    "upscale": Upscale,
    "guided": Guided,
    "invert": Invert,
}

__all__ = [
    "DIP",
    "IDDP",
    "METHODS",
    "N2N",
    "N2V",
    "RESTORATIONS",
    "TRAINED",
    "BlindSpotSettings",
    "Guided",
    "Inpaint",
    "Invert",
    "Knob",
    "Nb2Nb",
    "PatchDIP",
    "PriorSettings",
    "Settings",
    "Supervised",
    "Trained",
    "Upscale",
    "explain",
    "knob",
    "knobs",
]
