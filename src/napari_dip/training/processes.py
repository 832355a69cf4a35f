"""Several processes that train one network, each on its share of every batch.

The result is that of one process, up to rounding: every process draws the same places, turns and masks from the same
generator, for the whole batch, and keeps those of its share; gradients and figures are averaged over all.

``DistributedDataParallel`` is not used: it averages what one call of its `forward` leads to, while the losses here call
parts of the network by themselves, some twice a step, and the part that learns changes on the way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, distributed, nn

from napari_dip.engine import device as devices
from napari_dip.errors import DenoiseError

PATIENCE = timedelta(minutes=10)  # for a process that does not answer
LOST = (
    "Another process of this training has ended or can't be reached ({}). Start again with resume to go on from the "
    "last checkpoint."
)


@dataclass(frozen=True)
class Ranks:
    """One process among those that train together.

    Attributes
    ----------
    number : int
        Of this process, from 0; the first one writes the files.
    count : int
        Of all processes.
    """

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.number == 0

    def share(self, batch: int) -> slice:
        """Return which crops of a batch are this process's.

        Raises
        ------
        ValueError
            If they can't be shared evenly.
        """
        if batch % self.count:
            raise ValueError(
                f"A batch of {batch} can't be shared evenly by {self.count} processes: give a batch of "
                f"{-(-batch // self.count) * self.count}, or start as many processes as divide {batch}."
            )
        each = batch // self.count
        return slice(self.number * each, (self.number + 1) * each)

    def drawn(self, crops: int, draw: Callable[[int], Tensor]) -> Tensor:
        """Draw random numbers for the crops of all processes; return those of this one, which has `crops`."""
        return draw(crops * self.count)[self.number * crops : (self.number + 1) * crops]

    def mean(self, value: Tensor) -> Tensor:
        """Average a tensor over the processes; all get the same bits."""
        if self.count == 1:
            return value
        total: Tensor = value.detach().clone()
        with _reported():
            distributed.all_reduce(total)
        return total / self.count

    def std(self, image: Tensor) -> Tensor:
        """Return the standard deviation over the shares of all processes, which are of one size."""
        if self.count == 1:
            return image.std()
        exact = image.double()
        mean, square = self.mean(torch.stack([exact.mean(), exact.square().mean()]))
        pixels = image.numel() * self.count
        std: Tensor = ((square - mean.square()).clamp_min(0) * pixels / (pixels - 1)).sqrt()
        return std.to(image)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients by their means over the processes."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.count == 1 or not gradients:
            return
        together = self.mean(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        means = torch.split(together, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def any(self, mine: bool) -> bool:
        """Say whether it is so in any process; all must ask."""
        return bool(self.count > 1 and any(self.told(mine))) or mine

    def told(self, mine: Any) -> list[Any]:
        """Return what each process has to say."""
        answers: list[Any] = [mine] * self.count
        if self.count > 1:
            with _reported():
                distributed.all_gather_object(answers, mine)
        return answers

    def check_same(self, **facts: object) -> None:
        """Refuse processes that were not given the same.

        Raises
        ------
        ValueError
            With the name of the first fact that differs.
        """
        all_facts = self.told(facts)
        differ = [
            name for name in facts if any(theirs[name] != facts[name] for theirs in all_facts)
        ]
        if differ:
            raise ValueError(
                f"The processes of this training were not given the same {differ[0]}: start all of them with the same "
                "call, and keep data and checkpoint where all can read them."
            )

    def together(self) -> Together:
        """Return a context that fails in every process if it does in one."""
        return Together(self)

    def device(self, name: str) -> torch.device:
        """Return the device of that name, as `pick_device`; of several processes each has a GPU of its own.

        Raises
        ------
        ValueError
            If there is no such device, or there are too few.
        """
        return devices.pick_device(name) if self.count == 1 else _own_device(name)


ALONE = Ranks()


@dataclass
class Together:
    """A context that fails in every process if it does in one: none goes on alone, to wait for the others in vain."""

    ranks: Ranks

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not isinstance(error, Exception):  # Ctrl-C waits for nobody
            return
        problems = self.ranks.told(None if error is None else str(error) or type(error).__name__)
        other = next((f"process {n}: {text}" for n, text in enumerate(problems) if text), None)
        if error is None and other is not None:
            raise ValueError(other)


def here() -> Ranks:
    """Return this process among those of torch's default process group; alone where there is none."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ALONE
    return Ranks(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` has started, and leave them at the end.

    Parameters
    ----------
    device : str
        As for `pick_device`; GPUs talk through NCCL, else it is gloo.

    Raises
    ------
    ValueError
        If there are not as many GPUs as processes.
    """
    if here().count > 1:  # they were joined by who calls
        yield here()
        return
    gpu = _own_device(device).type == "cuda"
    with _reported():
        distributed.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)
    yield here()
    distributed.destroy_process_group()  # not after an error: it would wait for a process that has ended


def _own_device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cuda", "cpu"):
        raise ValueError(
            f"Device {name!r} is one device, and each of several processes needs its own: give cuda or cpu."
        )
    device = devices.pick_device(name)
    if device.type == "cpu":
        return device
    place, here_ = (
        int(os.environ.get("LOCAL_RANK", "0")),
        int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
    )
    if here_ > torch.cuda.device_count():
        raise ValueError(
            f"{here_} processes were started on this machine, which has {torch.cuda.device_count()} GPUs: start one "
            "for each GPU, or give the device cpu."
        )
    torch.cuda.set_device(place)  # NCCL takes the current one
    return torch.device("cuda", place)


@contextmanager
def _reported() -> Iterator[None]:
    """Say in a sentence that another process is gone; torch tells it as a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        raise DenoiseError(LOST.format(str(error).strip().splitlines()[0][:120])) from error
