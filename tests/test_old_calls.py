"""Calls and files from before BlindSpot and DIP were two methods name the new one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dip import DIP, BlindSpot, Image, write
from napari_dip.cli import main


def said(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err.strip()
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--net blind-spot", "is the method blind-spot now, which is the default: leave out --net"),
        ("--net=blind-spot", "is the method blind-spot now"),
        ("--method dip --net blind-spot", "is the method blind-spot now"),
        ("--net skip", "--net is a setting of the method dip or patchdip"),
        ("--preset paper", "The preset paper is one of the method dip or patchdip"),
        ("--method dip --layers 3", "--layers is a setting of the method blind-spot"),
        ("--backtrack", "add --method dip"),
    ],
)
def test_a_call(words: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["denoise", "a.tif", "-o", "b.tif", *words.split()]) == 2
    assert sentence in said(capsys)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('method = "dip"\nnet = "blind-spot"', 'write method = "blind-spot"'),
        ('net = "blind-spot"', 'write method = "blind-spot"'),
        ('preset = "paper"', 'write method = "dip"'),
        ('method = "dip"\nlayers = 3', 'write method = "blind-spot"'),
        ('net = "skip"', 'write method = "dip"'),
    ],
)
def test_a_file_of_settings(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text(text, "utf-8")
    words = ["denoise", "a.tif", "-o", "b.tif", "--config", str(tmp_path / "s.toml")]
    assert main(words) == 2
    assert sentence in said(capsys)


def test_python() -> None:
    with pytest.raises(ValueError, match=r"take BlindSpot\(\) in Python"):
        DIP(net="blind-spot")
    with pytest.raises(ValueError, match=r"BlindSpot has no setting 'net'; .*DIP"):
        BlindSpot(net="skip")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"BlindSpot has no preset 'paper'.*DIP"):
        BlindSpot.preset("paper")


def test_the_record_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"settings": {"method": "dip", "net": "blind-spot", "layers": 4}}
    write(tmp_path / "a.tif", Image(np.ones((8, 8), np.float32), provenance=record))
    assert main(["info", str(tmp_path / "a.tif")]) == 0
    assert "is the method blind-spot now" in capsys.readouterr().out
