"""A device in the computer's own memory that refuses float64 and counts waits.

It goes by the name of torch's ``meta`` device, which nothing here uses otherwise. A tensor on it
holds a plain tensor, and every operation is done on that one.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from napari_dip.engine import device
from napari_dip.training import processes

DEVICE = torch.device("meta")


class OnDevice(torch.Tensor):
    """A tensor on the device; `inner` holds its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> OnDevice:
        if inner.dtype == torch.float64:
            raise TypeError("The device has no float64.")
        layout = inner.shape, inner.stride(), inner.storage_offset()
        tensor = torch.Tensor._make_wrapper_subclass(cls, *layout, dtype=inner.dtype, device=DEVICE)
        tensor.inner = inner
        return tensor

    def __repr__(self) -> str:
        return f"OnDevice({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with FakeDevice():
            return func(*args, **(kwargs or {}))


class FakeDevice(TorchDispatchMode):
    """Do what is asked of tensors on the device.

    Attributes
    ----------
    waits : Counter
        How often a number was read from the device, and how often a tensor was copied to it.
    operations : Counter
        Computations on the device by name; views of tensors are none, a step of Adam is one.
    largest : int
        Elements of the largest tensor that was computed there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.largest, self.limits = 0, dict[int, int]()

    def fill(self, limits: dict[int, int]) -> None:
        """Leave memory for tensors of so many elements, each number after so many operations."""
        self.limits = limits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        wrapped = [leaf for leaf in leaves if isinstance(leaf, OnDevice)]
        if any(leaf.is_meta and not isinstance(leaf, OnDevice) for leaf in leaves):
            raise TypeError(f"{func} copies a list to the device, which waits for it.")
        there = bool(wrapped)
        if kwargs.get("device") is not None:
            there = torch.device(kwargs["device"]) == DEVICE
            kwargs["device"] = torch.device("cpu")
        name = func.overloadpacket.__name__
        if wrapped and (name == "_local_scalar_dense" or (name == "_to_copy" and not there)):
            self.waits["read"] += 1
        if name == "_to_copy" and there and not wrapped:
            self.waits["copied"] += 1
        plain = tree_map(
            lambda leaf: leaf.inner if isinstance(leaf, OnDevice) else leaf, (args, kwargs)
        )
        if name == "_conj":  # a view, whose sign the kernels called from here do not see
            func = torch.ops.aten.conj_physical.default
        out = func(*plain[0], **plain[1])
        if there and not func.is_view and name not in ("detach", "_unsafe_view"):
            self.operations[name] += 1
            self._allocate(out)
        before = {id(tensor.inner): tensor for tensor in wrapped}

        def wrap(leaf: Any) -> Any:
            if id(leaf) in before:  # in place
                return before[id(leaf)]
            return OnDevice(leaf) if there and isinstance(leaf, torch.Tensor) else leaf

        return tree_map(wrap, out)

    def _allocate(self, out: Any) -> None:
        sizes = [leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.largest = max(self.largest, *sizes, 0)
        done = self.operations.total()
        most = min((n for n, after in self.limits.items() if done > after), default=sys.maxsize)
        if max(sizes, default=0) > most:
            raise torch.OutOfMemoryError("The device is out of memory.")


class OnCpu(torch.Generator):
    """A generator that draws on the CPU, whatever device is named."""

    def __new__(cls, device: object = None) -> OnCpu:
        return super().__new__(cls)


@contextmanager
def fake_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    """Compute everything on the fake device inside; random generators stay on the CPU."""
    with monkeypatch.context() as patch, FakeDevice() as mode:
        patch.setattr(torch, "Generator", OnCpu)
        step = torch.optim.Adam.step

        def fused(adam: torch.optim.Adam, closure: None = None) -> None:  # as it is on a GPU
            before = mode.operations.copy()
            step(adam)
            mode.operations = before + Counter(adam=1)

        patch.setattr(torch.optim.Adam, "step", fused)
        for module in (device, processes):
            patch.setattr(module, "pick_device", lambda name="auto": DEVICE)
        yield mode
