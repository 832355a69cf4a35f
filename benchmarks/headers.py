"""Headers before and after: each TIFF of a folder is denoised, and its header compared.

Run: python benchmarks/headers.py $NAPARI_DIP_DATA OUT.md (the table of docs/formats.md). The headers
are read with tifffile alone, both times. Two steps of a small network: only headers are looked at.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_dip.cli import main as napari_dip

QUICK = ["--steps", "2", "--channels", "4", "--neighbours", "0", "--quiet"]
RECORD = "napari-dip = "


def facts(path: Path) -> dict[str, Any]:
    """Return what a header says, by plain words."""
    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        lengths = zip(series.axes, series.shape, strict=True)
        found: dict[str, Any] = {"axes": " x ".join(f"{a} {n}" for a, n in lengths)}
        found |= imagej(tif) if tif.is_imagej else ome(tif) if tif.is_ome else {}
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


def imagej(tif: tifffile.TiffFile) -> dict[str, Any]:
    about = tif.imagej_metadata or {}
    tags = tif.pages.first.tags
    unit = str(about.get("unit", "")).replace("\\u00B5", "u").replace("µ", "u")
    x = tags.valueof("XResolution")
    ranges = about.get("Ranges") or tuple(about[k] for k in ("min", "max") if k in about)
    tables = about.get("LUTs")
    return {
        "size of a pixel": f"{x[1] / x[0]:.4g} {unit}" if unit and x and x[0] else None,
        "spacing": about.get("spacing"),
        "interval": about.get("finterval"),
        "display ranges": [round(float(end), 3) for end in ranges],
        "lookup tables": None if tables is None else np.asarray(tables).reshape(-1, 768).tolist(),
        "labels": about.get("Labels"),
        "Info": without_record(about.get("Info")),
        "Properties": about.get("Properties"),
    }


def ome(tif: tifffile.TiffFile) -> dict[str, Any]:
    root = ElementTree.fromstring(tif.ome_metadata or "<OME/>")
    image = root.find("{*}Image")
    pixels = root.find(".//{*}Pixels")
    if image is None or pixels is None:
        return {}
    about = {key: pixels.get(key) for key in pixels.attrib if key.startswith(("Phys", "Time"))}
    channels = [dict(one.attrib) for one in pixels.iterfind("{*}Channel")]
    known = [{k: v for k, v in c.items() if k not in ("ID", "SamplesPerPixel")} for c in channels]
    return {
        **about,
        "channels": [c for c in known if c],
        "planes": [dict(p.attrib) for p in pixels.iterfind("{*}Plane")],
        "date": image.findtext("{*}AcquisitionDate"),
        "description": image.findtext("{*}Description"),
        "significant bits": pixels.get("SignificantBits"),
        "instrument": None if root.find("{*}Instrument") is None else "yes",
    }


def without_record(info: object) -> str:
    lines = "\n".join(info if isinstance(info, list) else [str(info or "")]).splitlines()
    return "\n".join(line for line in lines if not line.startswith(RECORD)).strip()


def rows(folder: Path) -> list[str]:
    """Return a line for each kind of header; files of one kind are told once."""
    found = ["| file | the same after the run | lost or changed |", "|---|---|---|"]
    kinds: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(folder.rglob("*.tif*")):
            before = facts(path)
            kind = f"{path.parent}{sorted(before)}{before['axes']}"
            if kind in kinds:
                continue
            kinds.add(kind)
            target = Path(scratch) / path.name
            if napari_dip(["denoise", str(path), "-o", str(target), "--dtype", "same", *QUICK]):
                found.append(f"| `{path.relative_to(folder)}` | | not read |")
                continue
            after = facts(target)
            same = [key for key, value in before.items() if after.get(key) == value]
            told = [f"axes {before['axes']}" if key == "axes" else key for key in same]
            lost = ", ".join(key for key in before if key not in same)
            found.append(f"| `{path.relative_to(folder)}` | {', '.join(told)} | {lost} |")
    return found


if __name__ == "__main__":
    lines = rows(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text("\n".join(lines) + "\n", "utf-8")
