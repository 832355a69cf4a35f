"""The verb ``doctor``: versions, devices, why CUDA is not used, and a short speed test."""

import platform
from typing import Any

from napari_dip.batch.estimate import format_duration
from napari_dip.cli.flags import Json
from napari_dip.cli.output import DONE, Output
from napari_dip.methods.registry import METHODS

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
    "zarr",
    "dask",
    "distributed",
    "imagecodecs",
)
SIZE = 256  # pixels, the side of the image that the speed test is made on
PROBE = 1.5  # seconds that each method is timed


def doctor(*, json: Json = False) -> int:
    """Print versions, the devices found, why CUDA is not used, and a short speed test."""
    import torch

    output = Output(json)
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "memory": memory(),
        "devices": devices(),
        "cuda": why_no_cuda() or "used",
    }
    for device in report["devices"]:
        device |= speed(device["name"])
    output.print(f"Python {report['python']} on {report['platform']}")
    for name, version in report["versions"].items():
        output.print(f"  {name:13} {version or 'not installed'}")
    total, free = (size and f"{size / 2**30:.1f} GiB" for size in report["memory"].values())
    output.print(f"Memory: {total or 'unknown'}, {free} free")
    output.print(
        f"Devices, and how long {SIZE} x {SIZE} pixels take there at most, in minutes and seconds "
        "(a trained model is quicker):"
    )
    for device in report["devices"]:
        output.print(f"  {device['name']:8} {device['is']}: {_speed_text(device)}")
    if report["cuda"] != "used":
        output.print(f"CUDA is not used: {report['cuda']}")
    output.print_json(report)
    return DONE


def versions() -> dict[str, str | None]:
    """Return the installed version of each package, None where it is missing; imports none."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def memory() -> dict[str, int | None]:
    """Return the bytes of memory that there are, None where the system does not say, and free."""
    import os

    import torch

    from napari_dip.engine.free_memory import free_memory

    try:
        total: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        total = None
    return {"total": total, "free": free_memory(torch.device("cpu"))}


def devices() -> list[dict[str, Any]]:
    """List what torch can compute on, by the names that ``--device`` takes."""
    import torch

    from napari_dip.engine.device import device_name

    threads = torch.get_num_threads()
    processor = device_name(torch.device("cpu"))
    found = [{"name": "cpu", "is": f"{processor}, {threads} thread{'s' * (threads > 1)}"}]
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        about = torch.cuda.get_device_properties(number)
        found.append(
            {"name": f"cuda:{number}", "is": f"{about.name}, {about.total_memory / 2**30:.0f} GiB"}
        )
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
        return (
            f"{str(error).strip().splitlines()[0]} (torch was built for CUDA {torch.version.cuda})"
        )
    return (
        f"torch was built for CUDA {torch.version.cuda}, but found no GPU; is CUDA_VISIBLE_DEVICES "
        "set?"
    )


def speed(device: str) -> dict[str, Any]:
    """Return by method how many seconds a small synthetic image takes at most, as ``seconds``.

    A method that cannot be timed has None there, and the reason is ``error``.
    """
    import numpy as np

    from napari_dip.api import iter_denoise
    from napari_dip.batch.estimate import estimate_seconds
    from napari_dip.errors import DenoiseError

    noisy = np.random.default_rng(0).poisson(20, (SIZE, SIZE)).astype(np.float32)
    found: dict[str, Any] = {"seconds": {}}
    for name, record in METHODS.items():
        try:
            work = iter_denoise(noisy, record.settings(), device=device)
            found["seconds"][name] = round(estimate_seconds(work, PROBE), 1)
        except (DenoiseError, ValueError) as error:
            found["seconds"][name], found["error"] = None, str(error)
    return found


def _speed_text(device: dict[str, Any]) -> str:
    timed = {name: s for name, s in device["seconds"].items() if s is not None}
    words = [f"{name} {format_duration(seconds)}" for name, seconds in timed.items()]
    return ", ".join([*words, *filter(None, [device.get("error")])])
