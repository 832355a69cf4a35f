"""The model file rebuilds itself; what is damaged or hostile is refused with a sentence."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dip import IDDP, N2V, Model, denoise, iter_denoise, iter_train, load_model
from napari_dip.models.model import build
from napari_dip.models.tiled_apply import apply_in_tiles


@pytest.fixture
def model() -> Model:
    settings = IDDP(channels=4, depth=1, steps=5, filter_channels=3, filter_layers=1)
    net = build(settings, 1).eval()
    with torch.no_grad():
        net.unet.last.weight.normal_(generator=torch.Generator().manual_seed(0))
    return Model(net, settings, 1, {"contrast": [5.0, 50.0]}, {"steps": 5}, "for tests", "CC0")


def parts(path: Path) -> tuple[dict, bytes]:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(path: Path, header: dict | bytes, body: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def with_record(**changes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        header, body = parts(path)
        record = json.loads(header["__metadata__"]["napari-dip"])
        for name, value in changes.items():
            if name in record["settings"]:
                record["settings"][name] = value
            else:
                record[name] = value
        header["__metadata__"]["napari-dip"] = json.dumps(record)
        join(path, header, body)

    return change


def with_image_channels(count: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        header, body = parts(path)
        record = json.loads(header["__metadata__"]["napari-dip"])
        header["__metadata__"]["napari-dip"] = json.dumps({**record, "channels": count})
        join(path, header, body)

    return change


def with_entry(name: str, **changes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        header, body = parts(path)
        header[name] = {**header[name], **changes}
        join(path, header, body)

    return change


def renamed(path: Path) -> None:
    header, body = parts(path)
    header["unet.last.wight"] = header.pop("unet.last.weight")
    join(path, header, body)


def without_record(path: Path) -> None:
    header, body = parts(path)
    del header["__metadata__"]
    join(path, header, body)


def with_nan(path: Path) -> None:
    header, body = parts(path)
    start = header["unet.last.bias"]["data_offsets"][0]
    join(path, header, body[:start] + struct.pack("<f", float("nan")) + body[start + 4 :])


def cut(share: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return change


class Bomb:
    def __reduce__(self):
        return (Path("exploded").touch, ())


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "is no model"),
    "text": (lambda p: p.write_text("weights" * 50), "is no model"),
    "image": (lambda p: p.write_bytes(b"II*\0" + bytes(400)), "is cut short"),
    "pickle": (lambda p: p.write_bytes(pickle.dumps(Bomb()) * 20), "is no model"),
    "torch": (lambda p: torch.save({"net": Bomb()}, p), "is no model"),
    "cut in the header": (cut(0.05), "cut short"),
    "cut in the weights": (cut(0.8), "cut short"),
    "header of 2^62 bytes": (
        lambda p: p.write_bytes(struct.pack("<Q", 1 << 62) + bytes(90)),
        "is no model",
    ),
    "header that is a list": (lambda p: join(p, b"[1, 2, 3]", b""), "is no model"),
    "nested too deep": (lambda p: join(p, b"[" * 100_000, b""), "is no model"),
    "someone else's": (without_record, "is no model"),
    "newer format": (with_record(format=99), "newer"),
    "no format": (with_record(format="1"), "names no format"),
    "no statistics": (with_record(statistics=None), "damaged record"),
    "of 3 channels by its record": (with_image_channels(3), "another network"),
    "of a million channels": (with_image_channels(1_000_000), "1 to 64"),
    "unknown method": (with_record(method="__import__('os')"), "does not know"),
    "huge network": (with_record(channels=1, depth=6, network={}), "another network"),
    "huge width": (lambda p: _wide(p), "too large"),
    "settings out of bounds": (with_record(alpha=-1), "can't be"),
    "a weight renamed": (renamed, "lacks the weights"),
    "a weight of another shape": (with_entry("unet.last.weight", shape=[2, 8, 1, 1]), "of shape"),
    "a weight of another type": (
        with_entry("unet.last.weight", dtype="I64", shape=[4, 2, 1, 1]),
        "of shape",
    ),
    "a weight with a negative size": (
        with_entry("unet.last.weight", shape=[-1, -4, 1, 1]),
        "damaged table",
    ),
    "a weight of 2^60 numbers": (with_entry("unet.last.weight", shape=[1 << 60]), "damaged table"),
    "overlapping weights": (with_entry("unet.last.weight", data_offsets=[0, 16]), "damaged"),
    "NaN weights": (with_nan, "NaN"),
}


def _wide(path: Path) -> None:
    header, body = parts(path)
    record = json.loads(header["__metadata__"]["napari-dip"])
    record["settings"] |= {"channels": 1024, "depth": 6}
    header["__metadata__"]["napari-dip"] = json.dumps(record)
    join(path, header, body)


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_model_is_refused_with_a_sentence(
    kind: str, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil, words = HOSTILE[kind]
    path = model.save(tmp_path / "model.safetensors")
    spoil(path)
    with pytest.raises(ValueError, match=words) as caught:
        load_model(path)
    assert "model.safetensors" in str(caught.value) and len(str(caught.value)) < 300
    assert not Path("exploded").exists()


def test_missing_files_and_bad_names_are_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none.safetensors")
    with pytest.raises(IsADirectoryError):
        load_model(tmp_path)
    with pytest.raises(ValueError, match="must end with"):
        model.save(tmp_path / "model.pt")
    with pytest.raises(FileNotFoundError, match="folder"):
        model.save(tmp_path / "no" / "model.safetensors")
    path = model.save(tmp_path / "model.safetensors")
    with pytest.raises(FileExistsError):
        model.save(path)
    model.save(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_model_comes_back_as_it_was(model: Model, tmp_path: Path) -> None:
    read = load_model(model.save(tmp_path / "model.safetensors"))
    assert (read.settings, read.channels, read.description, read.licence) == (
        model.settings,
        1,
        "for tests",
        "CC0",
    )
    assert read.statistics == model.statistics and read.training == model.training
    noisy = np.random.default_rng(0).poisson(20, (40, 44))
    np.testing.assert_array_equal(denoise(noisy, read), denoise(noisy, model))


def rewrite_record(path: Path, key: str, change: Callable[[dict], object]) -> None:
    header, body = parts(path)
    record = json.loads(header["__metadata__"][key])
    change(record)
    header["__metadata__"][key] = json.dumps(record)
    join(path, header, body)


def test_a_model_of_a_version_with_fewer_settings_has_their_defaults(tmp_path: Path) -> None:
    settings = IDDP(depth=1, channels=2, filter_channels=2)
    model = Model(build(settings, 1).eval(), settings, 1)
    path = model.save(tmp_path / "model.safetensors")

    def forget(record: dict) -> None:
        del record["settings"]["clip"], record["settings"]["filter_layers"]
        del record["network"]["filter_layers"]

    rewrite_record(path, "napari-dip", forget)
    assert load_model(path).settings == settings


def test_a_model_from_before_the_half_size_network_is_what_it_was(tmp_path: Path) -> None:
    settings = IDDP(depth=1, channels=2, filter_channels=2, unshuffle=1)
    net = build(settings, 1).eval()
    path = Model(net, settings, 1).save(tmp_path / "model.safetensors")

    def forget(record: dict) -> None:
        assert "unshuffle" not in record["network"]
        del record["settings"]["unshuffle"]

    rewrite_record(path, "napari-dip", forget)
    found = load_model(path)
    assert found.settings == settings
    x = torch.randn((1, 1, 40, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(found.net(x), net(x))


@pytest.mark.parametrize("how", [IDDP, N2V])
def test_a_model_of_the_older_name_of_its_start_gives_the_same_pixels(
    how: type[IDDP], tmp_path: Path
) -> None:
    settings = how(depth=1, channels=2, filter_channels=2, steps=5, start="blind-spot")
    model = Model(build(settings, 1).eval(), settings, 1, {"contrast": [5.0, 50.0]})
    path = model.save(tmp_path / "model.safetensors")

    def older(record: dict) -> None:
        for part in ("settings", "network"):
            assert record[part]["start"] == "blind-spot"
            record[part]["start"] = "learned"

    rewrite_record(path, "napari-dip", older)
    found = load_model(path)
    assert found.settings == settings == how(**{**settings.model_dump(), "start": "learned"})
    y = np.random.default_rng(0).poisson(20, (40, 40)).astype(np.float32)
    assert np.array_equal(denoise(y, found, device="cpu"), denoise(y, model, device="cpu"))


def test_a_model_averages_as_many_orientations_as_are_asked_for(model: Model) -> None:
    y = np.random.default_rng(0).poisson(20, (40, 40)).astype(np.float32)
    many = model.with_orientations(4)
    assert (model.settings.orientations, many.settings.orientations) == (1, 4)
    assert [snap.step for snap in iter_denoise(y, many)] == [1, 2, 3, 4]
    assert len(list(iter_denoise(y, model))) == 1
    with pytest.raises(ValueError, match="orientations"):
        model.with_orientations(3)  # type: ignore[arg-type]


def test_a_model_of_a_version_with_more_settings_asks_for_an_update(
    model: Model, tmp_path: Path
) -> None:
    path = model.save(tmp_path / "model.safetensors")
    rewrite_record(path, "napari-dip", lambda record: record["settings"].update(attention=True))
    with pytest.raises(ValueError, match=r"'attention'.*update napari-dip"):
        load_model(path)


def test_checkpoints_of_versions_with_other_settings(tmp_path: Path) -> None:
    settings = IDDP(depth=1, channels=2, filter_channels=2, steps=4, start="blur", crop=16)
    path, noisy = tmp_path / "c.safetensors", np.random.default_rng(0).poisson(20, (48, 48))
    key = "napari-dip-checkpoint"

    def resume() -> list:
        return list(iter_train(noisy, settings, checkpoint=path, resume=True))

    list(iter_train(noisy, settings, checkpoint=path))
    rewrite_record(path, key, lambda record: record["settings"].pop("clip"))
    assert len(resume()) == 1
    rewrite_record(path, key, lambda record: record["settings"].update(attention=True))
    with pytest.raises(ValueError, match=r"'attention'.*update napari-dip"):
        resume()
    rewrite_record(path, key, lambda record: record.update(format=99))
    with pytest.raises(ValueError, match="format 99, newer than 1: update napari-dip"):
        resume()


def test_tiles_give_what_the_whole_gives(model: Model) -> None:
    settings = IDDP(channels=4, depth=2, filter_channels=3, filter_layers=2)
    net = build(settings, 1).eval()
    with torch.no_grad():
        net.unet.last.weight.normal_(generator=torch.Generator().manual_seed(0))
    x = torch.randn((1, 1, 230, 194), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole, parts_ = net(x), apply_in_tiles(net, x, 48)
    assert (whole - parts_).abs().max() < 1e-4 * whole.std()
    assert whole.std() > 2 * (whole - x).std() * 0.1, "the network must do something here"


def test_a_plane_without_noise_is_left_and_nothing_else_is(model: Model) -> None:
    stack = np.random.default_rng(0).poisson(30, (3, 40, 40)).astype(np.float32)
    stack[1] = 7
    *_, snap = snaps = list(iter_denoise(stack, model, axes="ZYX"))
    assert sum(snap.note.startswith("A plane that has no noise") for snap in snaps) == 1
    changed = (np.asarray(snap.image.pixels) != stack).any(axis=(1, 2))
    assert changed.tolist() == [True, False, True]


def test_a_path_in_place_of_a_model_is_told_how_to_load_it() -> None:
    with pytest.raises(ValueError, match=r"load_model\(path\)"):
        denoise(np.ones((8, 8), np.float32), "lab.safetensors")  # type: ignore[call-overload]
