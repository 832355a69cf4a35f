"""The Fluorescence Microscopy Denoising data set (FMD), read by the names of its folders and files.

Two forms are known: the tree as it is downloaded, ``<sample>/{raw,avg2,avg4,avg8,avg16}/<field>/*.png`` with the
average of 50 captures in ``<sample>/gt/<field>/avg50.png`` and ``test_mix/{raw,...,gt}/*.png``; and a folder of files
``<sample>_<capture>_raw.png`` with ``<sample>_<any>_gt.png`` beside them.

Reference: Zhang et al., A Poisson-Gaussian Denoising Dataset with Real Fluorescence Microscopy Images, CVPR 2019,
arXiv:1812.10366.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LEVELS = ("raw", "avg2", "avg4", "avg8", "avg16")  # captures averaged: 1, 2, 4, 8, 16
TEST_FIELD = "19"  # the field of view that the data set's authors keep for testing
LEFT_OUT = ("WideField", "TwoPhoton_BPAE")  # not trained on in the papers
_PICTURES = (".png", ".tif", ".tiff")
_RAW = re.compile(r"(?P<sample>.+?)(_(?P<capture>\d+))?_raw")


@dataclass(frozen=True)
class Capture:
    """One noisy file: which sample and field it shows, at which noise level, and its clean image where there is one."""

    sample: str
    field: str
    level: str
    noisy: Path
    clean: Path | None


def looks_like_fmd(folder: Path) -> bool:
    """Say whether a folder has one of the two forms."""
    return bool(_samples(folder)) or _mixed(folder) or _test_mix(folder) is not None


def list_captures(
    folder: Path,
    *,
    levels: Sequence[str] = ("raw",),
    samples: Sequence[str] | None = None,
    held_out: Sequence[str] = (TEST_FIELD,),
) -> list[Capture]:
    """List the noisy files of a folder in either form.

    Parameters
    ----------
    folder : Path
        The data set's folder, or that of one sample.
    levels : sequence of str
        Out of `LEVELS`.
    samples : sequence of str, optional
        Beginnings of the samples' names, such as ``"Confocal"``; ``"all"`` takes every one. By default the wide-field
        samples and the two-photon BPAE ones are left out, as the papers do.
    held_out : sequence of str
        Fields of view that are left out, for testing.

    Raises
    ------
    ValueError
        If nothing is left, or a noise level is unknown.
    """
    strangers = sorted(set(levels) - set(LEVELS))
    if strangers:
        raise ValueError(
            f"Noise level {', '.join(strangers)} is unknown; FMD has {', '.join(LEVELS)}."
        )
    found = [c for c in _captures(folder, levels) if c.field not in held_out]
    kept = [c for c in found if _wanted(c.sample, samples)]
    if not kept:
        names = ", ".join(sorted({c.sample for c in found})) or "none"
        raise ValueError(
            f"Nothing to train on is left of {folder.name}: it holds the samples {names}, and wide-field and "
            "two-photon BPAE ones are left out unless asked for. Name the files themselves, or the samples (or all)."
        )
    return kept


def mixed_test_captures(folder: Path, level: str = "raw") -> list[Capture]:
    """List the mixed test set of the tree, with its clean images, sorted by name."""
    mix = _test_mix(folder)
    if mix is None:
        raise ValueError(f"{folder.name} has no folder test_mix with {level} and gt in it.")
    return [
        Capture(file.stem, TEST_FIELD, level, file, mix / "gt" / file.name)
        for file in _pictures(mix / level)
        if (mix / "gt" / file.name).is_file()
    ]


def _captures(folder: Path, levels: Sequence[str]) -> list[Capture]:
    if _mixed(folder):
        return _mixed_captures(folder)
    captures = []
    for sample in _samples(folder):
        for level in levels:
            for field in sorted((sample / level).glob("*/"), key=lambda p: (len(p.name), p.name)):
                clean = next(iter(_pictures(sample / "gt" / field.name)), None)
                captures += [
                    Capture(sample.name, field.name, level, file, clean)
                    for file in _pictures(field)
                ]
    return captures


def _samples(folder: Path) -> list[Path]:
    """List the folders of samples: those with raw and gt in them, the folder itself or below it."""
    inside = [folder, *sorted(folder.glob("*/"))]
    return [
        p for p in inside if (p / "raw").is_dir() and (p / "gt").is_dir() and p.name != "test_mix"
    ]


def _test_mix(folder: Path) -> Path | None:
    mix = folder if folder.name == "test_mix" else folder / "test_mix"
    return mix if (mix / "gt").is_dir() and (mix / "raw").is_dir() else None


def _mixed(folder: Path) -> bool:
    stems = [file.stem for file in _pictures(folder)]
    return any(s.endswith("_raw") for s in stems) and any(s.endswith("_gt") for s in stems)


def _mixed_captures(folder: Path) -> list[Capture]:
    files = _pictures(folder)
    clean = {
        re.sub(r"(_\d+)?_gt$", "", file.stem): file for file in files if file.stem.endswith("_gt")
    }
    captures = []
    for file in files:
        match = _RAW.fullmatch(file.stem)
        if match:
            sample = match["sample"]
            captures.append(Capture(sample, "1", "raw", file, clean.get(sample)))
    return captures


def _wanted(sample: str, samples: Sequence[str] | None) -> bool:
    if samples is None:
        return not sample.startswith(LEFT_OUT)
    return "all" in samples or sample.startswith(tuple(samples))


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() in _PICTURES and not p.name.startswith(".")
    )
