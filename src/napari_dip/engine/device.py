"""Which device to compute on, and from which seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

Device = str | torch.device  # what says where to compute


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
    return torch.device(name)


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


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Build a network from a seed and leave torch's global random state as it was.

    Never yield to a reader inside: the context would leak into it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
