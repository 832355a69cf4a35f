"""Several processes that train one network, each on its share of every batch.

The result is that of one process, up to rounding: every process draws the same places, turns and
masks from the same generator, for the whole batch, and keeps those of its share; gradients and
figures are averaged over all processes.

``DistributedDataParallel`` is not used: it averages what one call of its `forward` leads to, while
the losses here call parts of the network by themselves, some twice a step, and the part that learns
changes on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.overrides import TorchFunctionMode

from napari_dip.engine.device import Device, pick_device
from napari_dip.errors import DenoiseError

TIMEOUT = timedelta(minutes=10)  # for a process that does not answer
LOST = (
    "Another process of this training has ended or can't be reached ({}). Start again with resume "
    "to go on from the last checkpoint."
)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together, as one of them sees it; by default it is alone."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """Return which crops of a batch are this process's; refuse an uneven share."""
        if batch % self.world_size:
            raise ValueError(
                f"A batch of {batch} can't be shared evenly by {self.world_size} processes: give a "
                f"batch of {-(-batch // self.world_size) * self.world_size}, or start as many "
                f"processes as divide {batch}."
            )
        each = batch // self.world_size
        return slice(self.rank * each, (self.rank + 1) * each)

    def mean(self, value: Tensor) -> Tensor:
        """Average a tensor over the processes; all get the same bits."""
        if self.world_size == 1:
            return value
        total: Tensor = value.detach().clone()
        with _report_lost_process():
            distributed.all_reduce(total)
        return total / self.world_size

    def std(self, image: Tensor) -> Tensor:
        """Return the standard deviation over the images of all processes, which are of one size."""
        if self.world_size == 1:
            return image.std()
        exact = image.double()
        mean, square = self.mean(torch.stack([exact.mean(), exact.square().mean()]))
        count = image.numel() * self.world_size
        std: Tensor = ((square - mean.square()).clamp_min(0) * count / (count - 1)).sqrt()
        return std.to(image)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients by their means over the processes."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.world_size == 1 or not gradients:
            return
        flat = self.mean(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        means = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def all_gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank."""
        values: list[Any] = [value] * self.world_size
        if self.world_size > 1:
            with _report_lost_process():
                distributed.all_gather_object(values, value)
        return values

    def any(self, value: bool) -> bool:
        """Return whether it is true in any process; all must ask."""
        return any(self.all_gather(value))

    def check_same(self, **facts: object) -> None:
        """Refuse processes that were not given the same, naming the first fact that differs."""
        everyones = self.all_gather(facts)
        differ = [name for name in facts if any(f[name] != facts[name] for f in everyones)]
        if differ:
            raise ValueError(
                f"The processes of this training were not given the same {differ[0]}: start all of "
                "them with the same call, and keep data and checkpoint where all can read them."
            )

    @contextmanager
    def fail_together(self) -> Iterator[None]:
        """Fail in every process if one does, so that none waits for the others in vain."""
        try:
            yield
        except Exception as error:  # Ctrl-C waits for nobody
            self.all_gather(str(error) or type(error).__name__)
            raise
        failures = [f"process {n}: {text}" for n, text in enumerate(self.all_gather("")) if text]
        if failures:
            raise ValueError(failures[0])

    def pick_device(self, name: Device) -> torch.device:
        """Return the device of that name; of several processes each has a GPU of its own."""
        return pick_device(name) if self.world_size == 1 else _own_device(str(name))


ALONE = ProcessGroup()


class ShareDraws(TorchFunctionMode):
    """Inside, random numbers for crops are drawn for all processes, each of which gets its own.

    Sizes start with the number of crops and are tuples; only draws from a generator are shared.
    """

    def __init__(self, group: ProcessGroup) -> None:
        super().__init__()
        self.group = group

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Enlarge a draw by the number of processes, and return this one's part of it."""
        if func not in (torch.rand, torch.randint, torch.randn):
            return func(*args, **(kwargs or {}))
        *bounds, (crops, *rest) = args
        drawn = func(*bounds, (crops * self.group.world_size, *rest), **kwargs)
        return drawn[self.group.share(len(drawn))]


def current_group() -> ProcessGroup:
    """Return torch's default process group; alone where there is none."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ALONE
    return ProcessGroup(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def join_group(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that ``torchrun`` has started, and leave them at the end.

    GPUs exchange tensors through NCCL, CPUs through gloo.
    """
    if current_group().world_size > 1:  # they were joined by who calls
        yield current_group()
        return
    backend = "nccl" if _own_device(device).type == "cuda" else "gloo"
    with _report_lost_process():
        distributed.init_process_group(backend, timeout=TIMEOUT)
    yield current_group()
    distributed.destroy_process_group()  # not after an error: it would wait for the lost process


def _own_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cuda", "cpu"):
        raise ValueError(
            f"Device {name!r} is one device, and each of several processes needs its own: give "
            "cuda or cpu."
        )
    if name == "cpu":
        return torch.device("cpu")
    pick_device(name)
    rank, size = (int(os.environ.get(f"LOCAL_{n}", d)) for n, d in (("RANK", 0), ("WORLD_SIZE", 1)))
    if size > torch.cuda.device_count():
        raise ValueError(
            f"{size} processes were started on this machine, which has {torch.cuda.device_count()} "
            "GPUs: start one for each GPU, or give the device cpu."
        )
    torch.cuda.set_device(rank)  # NCCL takes the current one
    return torch.device("cuda", rank)


@contextmanager
def _report_lost_process() -> Iterator[None]:
    """Raise a DenoiseError where another process has ended; torch raises a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        raise DenoiseError(LOST.format(str(error).strip().splitlines()[0][:120])) from error
