"""How an answer was made, from its record: a paragraph for a paper, and settings to be repeated."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_dip.batch.config import config_text, config_values
from napari_dip.methods.registry import METHODS, RESTORATIONS, TRAINED

if TYPE_CHECKING:
    from napari_dip.settings import Settings

UNSAID = {"steps", "seed"}  # said in words of their own


def settings_of(record: Mapping[str, Any]) -> Settings | None:
    """Return the settings that a record holds; None where it holds none that are known.

    Parameters
    ----------
    record : mapping
        Provenance, as `Snapshot.provenance` has it and files of ours keep it.
    """
    held: Any = record.get("settings")
    if not isinstance(held, Mapping):
        return None
    values = dict(held)
    known = {
        name: one.settings for of in (METHODS, TRAINED, RESTORATIONS) for name, one in of.items()
    }
    how = known.get(str(values.pop("method", "")))
    try:
        return None if how is None else how(**values)
    except ValueError:  # of another version
        return None


def methods_text(record: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """Return a paragraph for the methods section of a paper.

    Parameters
    ----------
    record : mapping
        Provenance, as for `settings_of`.
    versions : mapping of str to str
        By the name of the program.
    """
    how = settings_of(record)
    programs = ", ".join(f"{name} {version}" for name, version in versions.items())
    if how is None:
        return f"The image was processed with {programs}."
    by_model = "with a model trained by" if record.get("model") else "with"
    text = f"Images were denoised {by_model} the method {how.title} of {programs}"
    text = text.replace("were denoised", "were restored") if how.method in RESTORATIONS else text
    first = how.preset(next(iter(how.presets)))
    changed = [
        f"{key.replace('_', ' ')} {value}"
        for key, value in how
        if value != getattr(first, key) and key not in UNSAID
    ]
    text += f" (at most {how.steps:,} steps, seed {how.seed}; "
    text += f"{', '.join(changed)}; " if changed else ""
    text += "all other settings at their defaults). "
    if steps := record.get("iterates_used"):
        text += f"Steps chosen by eye: {', '.join(map(str, dict(steps).values()))}. "
    if "verdict" in record:
        text += f"The residual was examined without a reference: {record['verdict']['sentence']} "
    text += "Intensities were measured on the images as recorded. "
    return text + (f"References: {references(how)}" if references(how) else "")


def references(how: Settings) -> str:
    """Return whom to cite for a method, as its documentation says."""
    _, _, text = (type(how).__doc__ or "").partition("References\n")
    return re.sub(r"\s+", " ", text.replace("----------", "")).strip()


def settings_text(record: Mapping[str, Any]) -> str:
    """Return a file of settings that repeats a run, and above it the command; "" where none does.

    Parameters
    ----------
    record : mapping
        Provenance, as for `settings_of`.
    """
    how = settings_of(record)
    if how is None or how.method not in METHODS:
        return ""
    values = config_values(how, next(iter(how.presets)), None)
    flags = [_flag(key.replace("_", "-"), value) for key, value in values.items()]
    command = f"napari-dip denoise IMAGES -o RESULTS {' '.join(flags)}"
    return f"# {command}\n#\n# The same as a file of settings:\n{config_text(values)}"


def _flag(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(str(value))}"
