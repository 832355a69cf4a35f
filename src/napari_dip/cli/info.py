"""The verb ``info``: what an image or a model holds and what made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_dip.cli.output import DONE, Talk
from napari_dip.methods.registry import renamed_method

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dip.images.image import Image


def run(path: Path, talk: Talk) -> int:
    """Print axes, shape, type, pixel size and provenance of an image file.

    Raises
    ------
    ValueError, OSError
        With a sentence, when the file can't be read.
    """
    from napari_dip.files.read_write import read
    from napari_dip.models.model import SUFFIX

    if path.suffix.lower() == SUFFIX:
        return _model(path, talk)
    image = read(path)
    provenance = dict(image.provenance)
    talk.say(str(path))
    talk.say(f"  axes   {image.axes}")
    talk.say(f"  shape  {' x '.join(map(str, image.shape))}")
    talk.say(f"  dtype  {image.dtype}")
    talk.say(f"  scale  {sizes(image)}")
    if image.channels:
        talk.say(f"  channels  {', '.join(image.channels)}")
    if provenance:
        talk.say("  made by napari-dip:")
        for line in _lines(provenance, depth=2):
            talk.say(line)
        if renamed := renamed_method(provenance.get("settings")):
            talk.say(f"  {renamed}")
    else:
        talk.say("  no record of napari-dip in it")
    talk.result(
        {
            "file": str(path),
            "axes": image.axes,
            "shape": list(image.shape),
            "dtype": str(image.dtype),
            "scale": list(image.scale),
            "units": list(image.units),
            "channels": list(image.channels),
            "provenance": provenance,
        }
    )
    return DONE


def _model(path: Path, talk: Talk) -> int:
    """Print all but the weights of a trained model."""
    from napari_dip.models.model import read_model_record

    record, weights = read_model_record(path)
    count = sum(tensor.numel() for tensor in weights.values())
    talk.say(str(path))
    talk.say(f"  a model of napari-dip with {count:,} weights")
    for line in _lines(record, depth=1):
        talk.say(line)
    talk.result({"file": str(path), "weights": count, **record})
    return DONE


def sizes(image: Image) -> str:
    """Say how far a step along each axis is; an axis of 1 pixel is one that nothing is known of."""
    steps = zip(image.axes, image.scale, image.units, strict=True)
    known = {
        a: "not given" if (s, u) == (1, "pixel") else f"{s:g} {u}" for a, s, u in steps if a != "C"
    }
    if set(known.values()) == {"not given"}:
        return "not given"
    return ", ".join(f"{axis} {size}" for axis, size in known.items())


def _lines(record: dict[str, Any], depth: int) -> list[str]:
    """Write a nested record as indented lines, escaped: text out of a file may hold control codes."""
    lines = []
    for key, value in record.items():
        shown = (
            "variance at intensity 0, as fitted"
            if key == "variance" and "gain" in record
            else ascii(key)[1:-1]
        )
        name = "  " * depth + shown
        if key == "noise" and value:
            models = value if isinstance(value, list) else [value]
            lines.append(f"{name}: {'; '.join(map(_noise, models))}")
        elif isinstance(value, dict):
            lines += [f"{name}:", *_lines(value, depth + 1)]
        else:
            lines.append(f"{name}: {_safe(value)}")
    return lines


def _noise(model: Any) -> str:
    """Write the line that was fitted to the noise; what it is at intensity 0 is no variance where it is negative."""
    try:
        gain, intercept = float(model["gain"]), float(model["variance"])
    except (TypeError, KeyError, ValueError):  # a file may hold anything
        return _safe(model)
    sign, read = ("+", f", a read noise of {intercept**0.5:.3g}") if intercept >= 0 else ("-", "")
    return f"variance = {gain:.4g} * intensity {sign} {abs(intercept):.4g}, as fitted{read}"


def _safe(value: Any) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value))
