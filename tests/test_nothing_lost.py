"""Nothing is lost and nothing is wrong in silence: files that change, appear, or share a name."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import signal
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cli_help import FEW, fit_quickly, leftovers, quick, save

from napari_dip import Image, write
from napari_dip.batch.report import COLUMNS, REPORT, write_report
from napari_dip.cli import main
from napari_dip.files import atomic, tiff_reader
from napari_dip.files.raw_pixels import RawPixels
from napari_dip.planes.canvas import Canvas


def test_an_input_that_is_rewritten_during_the_work_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rewriting(image: Image, how: object, *, device: str = "auto") -> object:
        for snapshot in quick(image, how, device=device):  # type: ignore[arg-type]
            if image.name == "a" and snapshot.step == 2:
                save(tmp_path / "in" / "new.tif", shape=(9, 8)).replace(tmp_path / "in" / "a.tif")
            yield snapshot

    fit_quickly(monkeypatch, rewriting)
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.tif")
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *FEW]) == 1
    with (tmp_path / "out" / REPORT).open(newline="") as file:
        rows = {Path(row["input"]).name: row for row in csv.DictReader(file)}
    assert "changed while it was worked on" in rows["a.tif"]["error"]
    assert rows["b.tif"]["status"] == "done" and leftovers(tmp_path / "out") == ["b.tif"]


def test_a_picture_beside_a_tiff_of_its_name_stops_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_quickly(monkeypatch)
    save(tmp_path / "in" / "x.tif")
    save(tmp_path / "in" / "x.png", dtype="uint8")
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *FEW]) == 0
    assert leftovers(tmp_path / "out") == ["x.png.tif", "x.tif"]


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_file_that_appears_during_the_write_is_not_replaced(name: str, tmp_path: Path) -> None:
    if name.endswith(".zarr"):
        pytest.importorskip("zarr", reason="Zarr folders need the package zarr")
    target = tmp_path / name

    class Slow:
        shape, dtype = (2, 8, 9), np.dtype("uint8")

        def __getitem__(self, key: object) -> np.ndarray:
            if not target.exists():
                target.write_text("somebody else's")
            return np.zeros((8, 9), "uint8")

    with pytest.raises(FileExistsError, match="appeared meanwhile"):
        write(target, Image(Slow(), "ZYX"))
    assert target.read_text() == "somebody else's" and leftovers(tmp_path) == [name]


@pytest.mark.parametrize("can_swap", [True, False])
def test_the_old_folder_keeps_its_name_until_the_new_one_has_it(
    can_swap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.zarr"
    target.mkdir()
    (target / "old").touch()
    if not can_swap:
        monkeypatch.delattr(atomic, "_swap")
        monkeypatch.setattr(
            atomic,
            "_swap",
            lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSYS, "no")),
            raising=False,
        )
        rename = Path.rename

        def refuse(self: Path, to: Path) -> Path:
            if self.suffix == ".part":
                raise OSError(errno.EACCES, "No")
            return rename(self, to)

        monkeypatch.setattr(Path, "rename", refuse)
        with pytest.raises(OSError, match="not written"), atomic.atomic_path(target, 1) as part:
            part.mkdir()
        assert leftovers(tmp_path) == ["a.zarr/old"]
        monkeypatch.setattr(Path, "rename", rename)
    with atomic.atomic_path(target, 1) as part:
        part.mkdir()
        (part / "new").touch()
    assert leftovers(tmp_path) == ["a.zarr/new"] and [p.name for p in tmp_path.iterdir()] == [
        "a.zarr"
    ]


def test_a_full_temporary_folder_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("Room on a disk is taken by a call of Unix.")

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    image = Image(np.zeros((2, 4, 4)), "ZYX")
    with pytest.raises(OSError, match="TMPDIR"):
        Canvas(image, in_file_from=0)


def test_cells_of_the_table_are_no_formulas(tmp_path: Path) -> None:
    names = ["=1+1.tif", "+a.tif", "-a.tif", "@a.tif", "a.tif"]
    records = [{"input": name, "output": None, "status": "done", "error": ""} for name in names]
    records[-1]["residual"] = {"mean": -0.25}
    for _ in range(2):  # rows of an earlier run are kept as they are
        path = write_report(tmp_path, records)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["input"] for row in rows] == [f"'{name}" for name in names[:4]] + ["a.tif"]
        assert rows[-1]["residual_mean"] == "-0.25" and set(rows[0]) == set(COLUMNS)
        records = records[1:]


def test_a_large_input_that_gets_shorter_is_a_failed_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory map ended the process by SIGBUS."""
    monkeypatch.setattr(tiff_reader, "MAP_FROM", 1)
    source, seen = save(tmp_path / "in" / "a.tif", shape=(6, 64, 65)), []

    def shortening(image: Image, how: object, *, device: str = "auto") -> object:
        for snapshot in quick(image, how, device=device):  # type: ignore[arg-type]
            if image.name == "a" and not seen:
                seen.append(image)
                os.truncate(source, 9000)
            yield snapshot

    fit_quickly(monkeypatch, shortening)
    save(tmp_path / "in" / "b.tif")
    assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *FEW]) == 1
    assert leftovers(tmp_path / "out") == ["b.tif"] and seen
    with pytest.raises(ValueError, match="cut short"):
        np.asarray(seen[0].pixels[5])


KEYS = [np.s_[()], np.s_[1], np.s_[:, 3], np.s_[..., 2], np.s_[::-2], np.s_[::2, 1:4, ::3], [0]]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_pixels_in_a_file_read_as_numpy_does(key: object, tmp_path: Path) -> None:
    pixels = np.arange(4 * 5 * 6, dtype=">u2").reshape(4, 5, 6)
    (tmp_path / "a").write_bytes(b"head" + pixels.tobytes())
    raw = RawPixels(tmp_path / "a", pixels.dtype, 4, (20, 6), "damaged").reshape((4, 5, 6))
    np.testing.assert_array_equal(raw[key], pixels[key])


@pytest.mark.parametrize("key", [np.s_[:], np.s_[::10], np.s_[7], np.s_[::-1]], ids=str)
def test_pixels_in_a_file_are_in_memory_once(key: object, tmp_path: Path) -> None:
    shape = (40, 100, 100)
    np.zeros(shape, np.uint8).tofile(tmp_path / "a")
    raw = RawPixels(tmp_path / "a", np.dtype(np.uint8), 0, shape, "damaged")
    tracemalloc.start()
    part = raw[key]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < part.nbytes + 20_000


def test_a_folder_that_cannot_be_looked_into_is_a_failed_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_quickly(monkeypatch)
    save(tmp_path / "in" / "a.tif")
    save(tmp_path / "in" / "shut" / "b.tif").parent.chmod(0)
    access = os.access  # root may look into every folder

    def denied(path: Path, mode: int) -> bool:
        return Path(path).name != "shut" and access(path, mode)

    monkeypatch.setattr(os, "access", denied)
    if access(tmp_path / "in" / "shut", os.R_OK):
        (tmp_path / "in" / "shut" / "b.tif").unlink()
    try:
        assert main(["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *FEW]) == 1
    finally:
        (tmp_path / "in" / "shut").chmod(0o700)
    with (tmp_path / "out" / REPORT).open(newline="") as file:
        rows = {Path(row["input"]).name: row for row in csv.DictReader(file)}
    assert rows["a.tif"]["status"] == "done"
    assert "does not let this user in" in rows["shut"]["error"]


@pytest.mark.skipif(os.name != "posix", reason="processes are asked for as on Unix")
def test_what_another_user_has_left_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / f".a-{atomic._this_machine()}-{2**40}.part"
    left.touch()

    def denied(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, "denied", str(path))

    monkeypatch.setattr(Path, "unlink", denied)
    monkeypatch.setattr(atomic, "_is_alive", lambda _: False)
    atomic.remove_leftovers(tmp_path)
    assert left.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are asked for as on Unix")
def test_what_a_killed_write_has_left_is_gone_after_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_quickly(monkeypatch)
    out = tmp_path / "out"
    out.mkdir()
    if not (child := os.fork()):
        with atomic.atomic_path(out / "a.tif", 1) as part:
            part.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(leftovers(out)) == 1
    save(tmp_path / "in" / "a.tif")
    with atomic.atomic_path(out / "b.tif", 1) as part:  # one that is still at work
        part.write_text("b")
        assert main(["denoise", str(tmp_path / "in"), "-o", str(out), *FEW]) == 0
    assert leftovers(out) == ["a.tif", "b.tif"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are asked for as on Unix")
@pytest.mark.parametrize("moment", ["half replaced", "half deleted"])
def test_a_folder_that_a_killed_write_was_replacing_is_there_again(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where folders can't change their names at once."""
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "old").touch()

    def no_swap(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(atomic, "_swap", no_swap)
    rename = Path.rename

    def killed(*names: Path) -> None:
        if names[1:]:
            rename(*names)
        os.kill(os.getpid(), signal.SIGKILL)

    if not (child := os.fork()):
        try:
            with atomic.atomic_path(tmp_path / "a.zarr", 1) as part:
                part.mkdir()
                (part / "new").touch()
                if moment == "half replaced":
                    monkeypatch.setattr(Path, "rename", killed)
                else:
                    monkeypatch.setattr(shutil, "rmtree", lambda _: killed())
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    atomic.remove_leftovers(tmp_path)
    assert leftovers(tmp_path) == ["a.zarr/old" if moment == "half replaced" else "a.zarr/new"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_two_runs_into_one_folder_do_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *FEW]
    begun: list[str] = []

    def with_another(image: Image, how: object, *, device: str = "auto") -> object:
        begun.append(image.name)
        if len(begun) == 1:
            assert main(words) == 0  # does all while the first run is at its first file
        return quick(image, how, device=device)  # type: ignore[arg-type]

    fit_quickly(monkeypatch, with_another)
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.tif")
    assert main(words) == 0 and begun == ["a", "a", "b"]
    with (tmp_path / "out" / REPORT).open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done", "done"]
    assert leftovers(tmp_path / "out") == ["a.tif", "b.tif"]
