"""A format registered from outside is read, listed, refused for writing and opened by napari."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_dip.cli import main
from napari_dip.data_sets.build_dataset import build_dataset
from napari_dip.files import registry
from napari_dip.files.format import Format
from napari_dip.files.read_write import check_fits, read, read_provenance, write
from napari_dip.images.image import Image


def read_toy(path: Path, axes: str | None) -> Image:
    """Read lines of numbers."""
    return Image(np.loadtxt(path, dtype=np.float32), axes or "YX", name=path.stem)


TOY = Format("Toy", (".toy",), read_toy)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Register the toy format, and return a file of it in a folder of its own."""
    monkeypatch.setattr(registry, "FORMATS", [*registry.FORMATS])
    registry.register_format(TOY)
    path = tmp_path / "in" / "numbers.toy"
    path.parent.mkdir()
    np.savetxt(path, np.random.default_rng(0).poisson(30, (32, 40)))
    return path


def test_a_format_that_nobody_registered_is_refused(tmp_path):
    path = tmp_path / "numbers.toy"
    path.write_text("1 2\n3 4\n")
    with pytest.raises(ValueError, match="no suffix of an image that can be read"):
        read(path)


def test_it_is_read(toy):
    image = read(toy)
    assert image.shape == (32, 40) and image.name == "numbers" and read_provenance(toy) == {}
    assert ".toy" in registry.readable_suffixes() and ".toy" not in registry.writable_suffixes()


def test_it_is_refused_for_writing(toy):
    image = read(toy)
    for call in (write, check_fits):
        with pytest.raises(ValueError, match=r"b\.toy has no suffix that can be written; name it"):
            call(toy.with_name("b.toy"), image)
    assert [path.name for path in toy.parent.iterdir()] == ["numbers.toy"]


def test_a_folder_run_picks_its_files_up(toy, tmp_path):
    out = tmp_path / "out"
    words = ["denoise", str(toy.parent), "-o", str(out), "--steps", "2", "--channels", "4"]
    assert main([*words, "--device", "cpu"]) == 0
    assert read(out / "numbers.tif").shape == (32, 40)


def test_a_training_folder_picks_its_files_up(toy):
    assert [source.name for source in build_dataset(toy.parent).sources] == ["numbers"]


def test_napari_opens_it(toy):
    from napari_dip.widgets.napari_hooks.reader import get_reader

    reader = get_reader(str(toy))
    assert reader is not None
    ((pixels, look, kind),) = reader(str(toy))
    assert pixels.shape == (32, 40) and look["axis_labels"] == ("y", "x") and kind == "image"
    assert get_reader(str(toy.with_name("b.unknown"))) is None


def test_suffixes_stay_unique(toy):
    with pytest.raises(ValueError, match="belongs to another format"):
        registry.register_format(TOY)
    with pytest.raises(ValueError, match="lower case"):
        registry.register_format(Format("Shout", (".TOY2",), read_toy))


@pytest.mark.parametrize("record", registry.FORMATS, ids=lambda record: record.name)
def test_every_record_holds(record):
    for suffix in record.suffixes:
        assert registry.format_of_name(Path(f"a.b{suffix.upper()}")) is record
    assert record.write is None or record.stores("uint16")
    assert record.stores("uint16") == (record.write is not None)


def test_no_format_loads_its_library_before_it_reads():
    code = "import napari_dip.files.registry, napari_dip.files.read_write, sys;"
    code += "print(*{'tifffile', 'zarr', 'PIL', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_no_image_is_walked_into(tmp_path, monkeypatch):
    """An OME-Zarr may hold a million files."""
    for name in ("b.png", "a/c.png", "a/.hidden/d.png", "a b/e.png", "p.zarr/0/f.png", ".g.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "p.zarr" / ".zgroup").write_text("{}")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a b")
    looked_at = []
    name_of = registry.format_of_name
    monkeypatch.setattr(registry, "format_of_name", lambda p: looked_at.append(p) or name_of(p))
    found = [path.relative_to(tmp_path).as_posix() for path in registry.images_under(tmp_path)]
    assert found == ["a/c.png", "a b/e.png", "b.png", "p.zarr"]
    assert not any("p.zarr" in path.parent.parts for path in looked_at)
    flat = registry.images_under(tmp_path, recursive=False)
    assert [path.name for path in flat] == ["b.png", "p.zarr"]
