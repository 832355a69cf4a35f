"""The benchmark for a GPU runs at a toy size on the CPU, without napari, and writes its page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
gpu = pytest.importorskip("gpu")
FIGURES = {"steps", "seconds", "steps_a_second", "psnr", "peak_mb", "first"}
NETWORK = """
from torch import nn
def get_net(inputs, kind, pad, **how):
    return nn.Conv2d(inputs, how["n_channels"], 3, padding=1)
"""


@pytest.mark.parametrize("name", sorted({*gpu.PARTS} - {"counts", "card", "reference"}))
def test_a_part_is_measured(name: str) -> None:
    for row in gpu.PARTS[name]("cpu", 30.0, True).values():
        assert row.keys() >= FIGURES
        assert row["steps"] == row["of"]
        assert row["steps_a_second"] > 0


def test_a_part_stops_in_time_and_says_so() -> None:
    row = gpu.fit(gpu.BlindSpot(steps=4000), 64, "cpu", 0.1, False)
    assert row["stopped"]
    assert row["steps"] < 4000


def test_the_run_goes_on_where_it_was_and_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models.py").write_text(NETWORK)
    ran: list[str] = []

    def run_part(name: str, args: object) -> dict[str, object]:
        ran.append(name)
        more = {"folder": tmp_path} if name == "reference" else {}
        return gpu.PARTS[name]("cpu", 30.0, True, **more)

    monkeypatch.setattr(gpu, "run_part", run_part)
    given = ["--device", "cpu", "--steps", "small", "--results", str(tmp_path)]
    parts = ["--parts", "counts,card,reference,blind-spot-512"]
    gpu.main([*given, *parts])
    gpu.main([*given, *parts, "--reference", str(tmp_path)])
    assert ran == ["counts", "card", "blind-spot-512", "reference"]
    page = (tmp_path / "gpu.md").read_text()
    assert "No CUDA GPU was at hand" in page
    assert "| BlindSpot 512 | 4 |" in page and "| reference, a step | 4 |" in page
    record = json.loads((tmp_path / "gpu.json").read_text())
    (device,) = record["devices"].values()
    device["about"]["device"] = "cuda"
    device["rows"]["BlindSpot 512"] = {"error": "It broke."}
    (tmp_path / "gpu.json").write_text(json.dumps(record))
    gpu.report_gpu.main(tmp_path)
    page = (tmp_path / "gpu.md").read_text()
    assert "No CUDA GPU" not in page and "broke: It broke." in page
    with pytest.raises(SystemExit):
        gpu.main(["--parts", "all"])


def test_no_napari_is_needed() -> None:
    code = "import sys, runpy; sys.modules['napari'] = sys.modules['qtpy'] = None; "
    code += f"sys.path.insert(0, {str(BENCHMARKS)!r}); "
    code += f"runpy.run_path({str(BENCHMARKS / 'gpu.py')!r}, run_name='__main__')"
    command = [sys.executable, "-c", code, "--one", "card", "--device", "cpu", "--steps", "small"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["card"]["tflops"] > 0
