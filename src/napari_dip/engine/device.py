"""Which device to compute on, what it is, and from which seed."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

Device = str | torch.device  # what says where to compute
AMPERE = (8, 0)  # compute capability of the first NVIDIA GPUs with bfloat16 and TF32


def pick_device(name: Device = "auto") -> torch.device:
    """Return the device of that name; ``"auto"`` takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    ValueError
        If there is no such device on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = str(name).partition(":")  # a torch.device too
    found = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in found or (index and not index.isdigit()):
        raise ValueError(f"There is no device {name!r}; give auto, cpu, cuda, cuda:N or mps.")
    if int(index or 0) >= found[kind]:
        raise ValueError(
            f"Device {name!r} was asked for, but {why_missing(kind)} Give auto or cpu instead."
        )
    return torch.device(kind, int(index)) if index else torch.device(kind)


def describe_device(device: torch.device) -> dict[str, object]:
    """Return which device computes and how, for the provenance: its name, precision, threads."""
    return {
        "device": str(device),
        "device_name": device_name(device),
        "precision": precision_of(device),
        "threads": torch.get_num_threads(),
    }


def device_name(device: torch.device) -> str:
    """Return what a device is called by who made it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "Apple GPU" if device.type == "mps" else _processor()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text("utf-8").splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def is_ampere(device: torch.device) -> bool:
    """Return whether a device is an NVIDIA GPU of that generation or a later one."""
    nvidia = device.type == "cuda" and torch.version.hip is None
    return nvidia and torch.cuda.get_device_capability(device) >= AMPERE


def precision_of(device: torch.device) -> str:
    """Return in what a device convolves float32: TF32, 10 bits of them, where torch allows it."""
    tf32 = is_ampere(device) and torch.backends.cudnn.allow_tf32
    return "TF32" if tf32 else "float32"


def why_missing(kind: str) -> str:
    """Say in a sentence why a kind of device is not (all) there."""
    if kind == "cuda":
        if torch.version.cuda is None:
            return "this PyTorch was built for the CPU only."
        if not torch.cuda.is_available():
            cuda = torch.version.cuda
            return f"this PyTorch (for CUDA {cuda}) finds no usable NVIDIA driver or GPU."
        return f"this machine has {torch.cuda.device_count()} CUDA device(s), counted from 0."
    if kind == "mps":
        return "this machine offers no Apple GPU to PyTorch."
    return "this machine has one CPU device."


def put(tensor: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor of the CPU to a device.

    On its way to a GPU it goes through pinned memory: a plain copy would wait until all work there
    is done.
    """
    if device.type == "cuda" and torch.cuda.is_available():
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@cache
def one_on(device: torch.device) -> Tensor:
    """Return the number 1 on a device, from which gradients begin; made once."""
    return torch.ones((), device=device)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Build a network from a seed and leave torch's global random state as it was.

    Never yield to a reader inside: the context would leak into it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
