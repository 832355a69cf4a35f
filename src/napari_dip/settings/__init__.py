"""Every method's settings: the one place for a default, its unit, its bounds and its help text.

A settings object IS the choice of method and of all its knobs. The dock's form, the command line's
flags, the table in the docs and the provenance are read off these classes; `knobs` gives them to
whoever builds such a thing. Which methods there are, and what else is known of each, stands in
`napari_dip.methods.registry`.
"""

from napari_dip.settings.base import FitSettings, Knob, Settings, explain, knob, knobs
from napari_dip.settings.blind_spot import BlindSpot
from napari_dip.settings.dip import DIP, NetworkOfZ
from napari_dip.settings.patchdip import PatchDIP
from napari_dip.settings.restore import BlindSpotOrZ, Guided, Inpaint, Invert, Upscale
from napari_dip.settings.trained import IDDP, N2N, N2V, Nb2Nb, Supervised, Trained

__all__ = [
    "DIP",
    "IDDP",
    "N2N",
    "N2V",
    "BlindSpot",
    "BlindSpotOrZ",
    "FitSettings",
    "Guided",
    "Inpaint",
    "Invert",
    "Knob",
    "Nb2Nb",
    "NetworkOfZ",
    "PatchDIP",
    "Settings",
    "Supervised",
    "Trained",
    "Upscale",
    "explain",
    "knob",
    "knobs",
]
