"""A model exported for the BioImage Model Zoo answers as `denoise` does."""

import json
import warnings
import zipfile
from hashlib import sha256
from io import BytesIO

import numpy as np
import pytest
import torch

from napari_dip import IDDP, Model, denoise, export_model
from napari_dip.cli import main
from napari_dip.models.bioimageio import zoo_test
from napari_dip.models.model import build
from napari_dip.models.torchscript import measure_line
from napari_dip.noise.measure import estimate_noise

RNG = np.random.default_rng(0)
SCENE = 40 + 30 * np.sin(np.arange(90) / 9) * np.cos(np.arange(70)[:, None] / 7)
PHOTONS = RNG.poisson(SCENE).astype(np.float32) * 2
HARDLY = 0.25  # gray levels, a fiftieth of the noise: an export measures it in a simpler way
FLAT = RNG.normal(100, 5, (70, 90)).astype(np.float32)


def made(channels: int = 1, **changes: object) -> Model:
    """A model whose weights are no start values: it changes an image visibly."""
    sizes = {"channels": 4, "filter_channels": 4, "filter_layers": 2, "orientations": 8}
    settings = IDDP(**{**sizes, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = build(settings, channels)
        for weight in net.parameters():
            weight.data += 0.05 * torch.randn_like(weight)
    return Model(net.eval(), settings, channels, licence="CC-BY-4.0")


def unpacked(path):
    with zipfile.ZipFile(path) as package:
        return {name: package.read(name) for name in package.namelist()}


@pytest.mark.parametrize(
    "image",
    [PHOTONS, FLAT, PHOTONS[:33, :47], FLAT * 0 + 3],
    ids=["photons", "flat", "odd", "blank"],
)
def test_its_noise_is_near_what_is_measured_here(image):
    mean = float(image.mean())
    gain, variance = measure_line(torch.from_numpy(image)[None].double())
    found = estimate_noise([image[None].astype(np.float64)]).std(mean)
    assert max(gain * mean + variance, 0.0) ** 0.5 == pytest.approx(found, rel=0.1, abs=1e-9)


@pytest.mark.parametrize(
    "changes", [{}, {"start": "blur", "blur": 2.0}, {"start": "zero", "stabilise": False}]
)
def test_it_answers_as_denoise_does_for_any_size(tmp_path, changes):
    model = made(**changes)
    module = torch.jit.load(
        BytesIO(unpacked(export_model(model, tmp_path / "m.zip"))["weights.pt"])
    )
    for image in (PHOTONS, FLAT[:48, :33]):
        answer = denoise(image, model, device="cpu")
        assert np.abs(answer - image).mean() > 1
        both = module(torch.from_numpy(np.stack([image, image + 7]))[:, None]).numpy()
        for found, wanted in (
            (both[0, 0], answer),
            (both[1, 0], denoise(image + 7, model, device="cpu")),
        ):
            assert np.sqrt(np.mean((found - wanted) ** 2)) < HARDLY


def test_an_export_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_model(made(), tmp_path / "m.zip", image=PHOTONS)


def test_colours_together(tmp_path):
    model = made(3, colours="together")
    module = torch.jit.load(
        BytesIO(unpacked(export_model(model, tmp_path / "m.zip"))["weights.pt"])
    )
    image = np.stack([PHOTONS, PHOTONS[::-1], PHOTONS[:, ::-1]], axis=-1).astype(np.uint8)
    answer = module(torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]).numpy()[0]
    wanted = denoise(image, model, device="cpu", axes="YXC")
    assert np.sqrt(np.mean((answer.transpose(1, 2, 0) - wanted) ** 2)) < 2 * HARDLY


def test_the_description_names_files_that_are_there(tmp_path):
    parts = unpacked(export_model(made(), tmp_path / "m.zip", image=PHOTONS, authors=["A", "B"]))
    described = json.loads(parts["rdf.yaml"])
    assert described["license"] == "CC-BY-4.0" and [a["name"] for a in described["authors"]] == [
        "A",
        "B",
    ]
    for tensor in (*described["inputs"], *described["outputs"]):
        file = tensor["test_tensor"]
        assert np.load(BytesIO(parts[file["source"]])).shape == (1, 1, 64, 80)
        assert sha256(parts[file["source"]]).hexdigest() == file["sha256"]
    assert {"README.md", "cover.png", "weights.pt"} < set(parts)


@pytest.mark.parametrize(
    ("file", "choices", "words"),
    [
        ("m.safetensors", {}, "must end with .zip"),
        ("m.zip", {"name": "a/b"}, "won't do"),
        ("m.zip", {"image": np.zeros((20, 20))}, "64 x 64"),
        ("m.zip", {"image": np.zeros((3, 80, 80))}, "1 channel"),
        ("m.zip", {"authors": []}, "at least one author"),
        ("no/m.zip", {}, "does not exist"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path, file, choices, words):
    with pytest.raises((ValueError, OSError), match=words):
        export_model(made(), tmp_path / file, **choices)
    assert not list(tmp_path.iterdir())


def test_the_verb(tmp_path, capsys):
    model, out = made().save(tmp_path / "m.safetensors"), tmp_path / "m.zip"
    assert main(["export", str(model), "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == str(out)
    assert main(["export", str(model), "-o", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "none.safetensors"), "-o", str(tmp_path / "n.zip")]) != 0


def test_without_the_extra_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bioimageio.core", None)
    assert "napari-dip[zoo]" in zoo_test(tmp_path)


def test_the_zoos_own_library_passes_it(tmp_path):
    pytest.importorskip("bioimageio.core", reason="the extra zoo is not installed")
    found = zoo_test(export_model(made(), tmp_path / "m.zip"))
    if found.startswith("Not tested"):
        pytest.skip(found)
    assert found == "passed"
