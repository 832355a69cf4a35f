"""The verb ``doctor``: versions, devices, why CUDA is not used where it is not, and a short speed test."""

from __future__ import annotations

import platform
import statistics
import time
from typing import Any

from napari_dip.cli.talk import DONE, Talk

PACKAGES = (
    "napari-dip",
    "torch",
    "numpy",
    "scikit-image",
    "tifffile",
    "pydantic",
    "napari",
    "npe2",
    "PyQt6",
    "PySide6",
)
SIZE, CHANNELS, REPEATS = 256, 32, 5


def run(talk: Talk) -> int:
    """Print the report and return the exit code."""
    import torch

    report: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "devices": devices(),
        "cuda": why_no_cuda() or "used",
    }
    for device in report["devices"]:
        device["seconds_per_step"] = seconds_per_step(device["name"])
    talk.say(f"Python {report['python']} on {report['platform']}")
    for name, version in report["versions"].items():
        talk.say(f"  {name:13} {version or 'not installed'}")
    talk.say(f"Devices (one training step of two {CHANNELS}-channel convolutions, {SIZE}x{SIZE} pixels):")
    for device in report["devices"]:
        talk.say(f"  {device['name']:8} {device['seconds_per_step'] * 1000:8.1f} ms   {device['is']}")
    if report["cuda"] != "used":
        talk.say(f"CUDA is not used: {report['cuda']}")
    talk.result(report)
    return DONE


def versions() -> dict[str, str | None]:
    """Return the installed version of each package that matters, None where it is missing, importing none."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def devices() -> list[dict[str, Any]]:
    """List what torch can compute on, by the names that ``--device`` takes."""
    import torch

    threads = torch.get_num_threads()
    found = [{"name": "cpu", "is": f"{platform.processor() or platform.machine()}, {threads} threads"}]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        about = torch.cuda.get_device_properties(number)
        found.append({"name": f"cuda:{number}", "is": f"{about.name}, {about.total_memory / 2**30:.0f} GiB"})
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "is": "Apple GPU"})
    return found


def why_no_cuda() -> str:
    """Return why CUDA can't be used, as a sentence, or nothing where it can."""
    import torch

    if torch.cuda.is_available():
        return ""
    if torch.version.hip is None and torch.version.cuda is None:
        return (
            f"torch {torch.__version__} is a build without CUDA. "
            "Where there is an NVIDIA GPU, install a CUDA build of torch (see pytorch.org)."
        )
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return f"{str(error).strip().splitlines()[0]} (torch was built for CUDA {torch.version.cuda})"
    return f"torch was built for CUDA {torch.version.cuda}, but found no GPU; is CUDA_VISIBLE_DEVICES set?"


def seconds_per_step(device: str) -> float:
    """Time one training step of two convolutions: the median of a few, after two that warm up.

    Parameters
    ----------
    device : str
        A name from `devices`.

    Returns
    -------
    float
        Seconds a step.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    convolve = torch.nn.functional.conv2d
    image = torch.rand(1, CHANNELS, SIZE, SIZE, generator=generator).to(device)  # (B, C, H, W)
    shapes = [(CHANNELS, CHANNELS, 3, 3)] * 2
    weights = [torch.rand(shape, generator=generator).sub(0.5).to(device).requires_grad_() for shape in shapes]
    times = []
    for _ in range(REPEATS + 2):
        started = time.perf_counter()
        hidden = torch.nn.functional.leaky_relu(convolve(image, weights[0], padding=1), 0.2)
        convolve(hidden, weights[1], padding=1).square().mean().backward()  # type: ignore[no-untyped-call]
        _wait(device, torch)
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


def _wait(device: str, torch: Any) -> None:
    """Let the device finish: GPUs work on after the call has come back."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()
