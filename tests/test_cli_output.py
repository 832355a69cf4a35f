"""What is printed can do no harm, and what cannot be printed ends no work."""

from __future__ import annotations

import io
import signal
from pathlib import Path

import pytest
from cli_help import FEW, quick, save

from napari_dip import read
from napari_dip.cli import main
from napari_dip.cli.consume_with_progress import ctrl_c_as_event
from napari_dip.cli.output import print_line


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_dip.api.iter_denoise", quick)


def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    print_line("a\x1b[31mb\x9b2J\u202ec\nd µé细", sys.stdout)
    assert capsys.readouterr().out == "a\\x1b[31mb\\x9b2J\\u202ec\\nd µé细\n"


@pytest.mark.parametrize("kind", ["full", "closed", "none"])
def test_output_that_cannot_be_printed_ends_no_work(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = []
    for name in ("stdout", "stderr"):
        if kind == "full":
            if not Path("/dev/full").exists():
                pytest.skip("There is no /dev/full here.")
            streams.append(Path("/dev/full").open("w"))  # noqa: SIM115
        elif kind == "closed":
            streams.append(io.StringIO())
            streams[-1].close()
        monkeypatch.setattr(f"sys.{name}", streams[-1] if streams else None)
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "b.tif")
    (tmp_path / "in" / "c.tif").write_text("none")
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *FEW]) == 1
    assert read(tmp_path / "out" / "b.tif").shape == (16, 17)
    for stream in streams:
        stream.close()  # nothing is left in it that cannot be written


def test_a_program_that_outlives_its_terminal_goes_on() -> None:
    if not hasattr(signal, "SIGHUP"):
        pytest.skip("There is no SIGHUP here.")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with ctrl_c_as_event() as stopped:
            signal.raise_signal(signal.SIGHUP)
            assert not stopped.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)
