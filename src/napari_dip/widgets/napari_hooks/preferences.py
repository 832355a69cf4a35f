"""The plugin's preferences (Preferences > napari-dip), with defaults where there are none."""

from __future__ import annotations

from dataclasses import dataclass

PLUGIN = "napari-dip"


@dataclass(frozen=True)
class Preferences:
    """What a person set once for all runs."""

    device: str = "auto"  # the one offered first
    pictures_per_second: float = 3.0  # at most: how often the layer is renewed during a run
    output_folder: str = ""  # where each answer is written as a TIFF; nowhere if empty


def preferences() -> Preferences:
    """Read the preferences; napari before 0.9 keeps none, and then the defaults hold."""
    try:
        from napari.settings import get_plugin_settings

        stored = get_plugin_settings(PLUGIN)
    except (ImportError, KeyError):  # KeyError: disabled, or installed after napari's start
        return Preferences()
    return Preferences(
        device=str(stored.run.device).strip() or "auto",
        pictures_per_second=float(stored.run.pictures_per_second),
        output_folder=str(stored.output.folder).strip(),
    )
