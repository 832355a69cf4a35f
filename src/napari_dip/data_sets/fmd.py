"""The Fluorescence Microscopy Denoising data set (FMD), read by the names of its folders and files.

Two forms are known: the tree as it is downloaded, ``<sample>/{raw,avg2,...,avg16}/<field>/*.png``
with the average of 50 captures in ``<sample>/gt/<field>/avg50.png``; and a folder of files
``<sample>_<capture>_raw.png`` with ``<sample>_<any>_gt.png`` beside them.

Reference: Zhang et al., A Poisson-Gaussian Denoising Dataset with Real Fluorescence Microscopy
Images, CVPR 2019, arXiv:1812.10366.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_dip.files.registry import format_of_name

LEVELS = ("raw", "avg2", "avg4", "avg8", "avg16")  # captures averaged: 1, 2, 4, 8, 16
TEST_FIELD = "19"  # the field of view that the data set's authors keep for testing
PAPERS = ("Confocal", "TwoPhoton_MICE")  # the samples that the papers train on
_RAW = re.compile(r"(?P<sample>.+?)(_\d+)?_raw")
_CLEAN = re.compile(r"(?P<sample>.+?)(_\d+)?_gt")


@dataclass(frozen=True)
class Capture:
    """One noisy file: its sample, field and noise level, and its clean image."""

    sample: str
    field: str
    level: str
    noisy: Path
    clean: Path | None


def looks_like_fmd(folder: Path) -> bool:
    """Return whether a folder has one of the two forms."""
    return bool(_samples(folder)) or _is_mixed(folder)


def list_captures(
    folder: Path,
    *,
    levels: Sequence[str] = ("raw",),
    samples: Sequence[str] = ("all",),
    held_out: Sequence[str] = (TEST_FIELD,),
) -> list[Capture]:
    """List the noisy files of a folder in either form.

    Parameters
    ----------
    folder : Path
        The data set's folder, or that of one sample.
    levels : sequence of str
        Out of `LEVELS`.
    samples : sequence of str
        Beginnings of the samples' names, such as ``"Confocal"``; ``"all"`` takes every one.
    held_out : sequence of str
        Fields of view that are left out, for testing.
    """
    unknown = sorted(set(levels) - set(LEVELS))
    if unknown:
        raise ValueError(
            f"Noise level {', '.join(unknown)} is unknown; FMD has {', '.join(LEVELS)}."
        )
    found = [c for c in _captures(folder, levels) if c.field not in held_out]
    chosen = [c for c in found if "all" in samples or c.sample.startswith(tuple(samples))]
    if not chosen:
        names = ", ".join(sorted({c.sample for c in found})) or "none"
        raise ValueError(
            f"Nothing to train on is left of {folder.name}: it holds the samples {names}, and "
            f"{', '.join(samples)} was asked for. Name other samples, or all."
        )
    return chosen


def left_out_note(folder: Path, captures: Sequence[Capture]) -> str:
    """Return a sentence on the fields and samples that are not among `captures`; empty if none."""
    every = _captures(folder, ("raw",))
    samples = sorted({c.sample for c in every} - {c.sample for c in captures})
    field = f"field {TEST_FIELD}" if any(c.field == TEST_FIELD for c in every) else ""
    names = ", ".join(name for name in (field, *samples) if name)
    return f"Left out of {folder.name}: {names}." if names else ""


def _captures(folder: Path, levels: Sequence[str]) -> list[Capture]:
    if _is_mixed(folder):
        return _mixed_captures(folder)
    captures = []
    for sample in _samples(folder):
        for level in levels:
            for field in sorted((sample / level).glob("*/"), key=lambda p: (len(p.name), p.name)):
                clean = next(iter(_images(sample / "gt" / field.name)), None)
                captures += [
                    Capture(sample.name, field.name, level, file, clean) for file in _images(field)
                ]
    return captures


def _samples(folder: Path) -> list[Path]:
    """List the folders of samples: those with raw and gt in them, the folder itself or below it."""
    inside = [folder, *sorted(folder.glob("*/"))]
    return [
        p for p in inside if (p / "raw").is_dir() and (p / "gt").is_dir() and p.name != "test_mix"
    ]


def _is_mixed(folder: Path) -> bool:
    stems = [file.stem for file in _images(folder)]
    return any(s.endswith("_raw") for s in stems) and any(s.endswith("_gt") for s in stems)


def _mixed_captures(folder: Path) -> list[Capture]:
    files = _images(folder)
    matches = [(file, _CLEAN.fullmatch(file.stem)) for file in files]
    clean = {match["sample"]: file for file, match in matches if match}
    captures = []
    for file in files:
        match = _RAW.fullmatch(file.stem)
        if match:
            captures.append(Capture(match["sample"], "1", "raw", file, clean.get(match["sample"])))
    return captures


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if format_of_name(p) and not p.name.startswith("."))
