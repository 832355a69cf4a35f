"""The registry of methods: what each is and can do, in one record.

A method is a `Settings` class, a function and a record here. Everything that must know more than
the settings asks the record: tiling and memory, restarts, what goes on from plane to plane of a
stack, which stacks may be divided among workers. Flags, forms, docs rows and provenance are read
off the Settings. Functions are named, not imported, so that flags and forms need no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any, TypeVar

from napari_dip.methods.method import Method, TrainedMethod
from napari_dip.settings import (
    DIP,
    IDDP,
    N2N,
    N2V,
    BlindSpot,
    Guided,
    Inpaint,
    Invert,
    Nb2Nb,
    PatchDIP,
    Settings,
    Supervised,
    Upscale,
)

DIP_BYTES = 25 * 4  # 13 to 24 feature maps of full size live at once, for each channel of width
PATCHDIP_BYTES = 130  # for each pixel and channel: images, not feature maps, measured
MANY_PATCHES = 64  # a step whose feature maps are no small part of a plane's
BLIND_SPOT_BYTES = 180  # for each pixel and channel of the image, beside what a strip takes
NEIGHBOUR_BYTES = 80  # more, for each plane nearby and its channels
STD_BYTES = 200  # more, where it predicts a standard deviation


AnyMethod = TypeVar("AnyMethod", Method, TrainedMethod)
METHODS: dict[str, Method] = {}  # denoise one image; the first one is the default
TRAINED: dict[str, TrainedMethod] = {}
RESTORATIONS: dict[str, Method] = {}


def register(registry: dict[str, AnyMethod], method: AnyMethod | str) -> None:
    """Add a method, its record or the ``"module:name"`` of that, to one of the registries.

    Raises
    ------
    ValueError
        If there is a method of that name.
    """
    record: AnyMethod = resolve_name(method) if isinstance(method, str) else method
    name = record.settings.method
    if name in {*METHODS, *TRAINED, *RESTORATIONS}:
        raise ValueError(f"There is a method {name!r} already; choose another name.")
    registry[name] = record


def record_of(settings: Settings) -> Method | TrainedMethod:
    """Return the record of the method that settings belong to.

    Raises
    ------
    ValueError
        If no method of that name is registered.
    """
    registries: tuple[Mapping[str, Method | TrainedMethod], ...] = (METHODS, TRAINED, RESTORATIONS)
    for registry in registries:
        if settings.method in registry:
            return registry[settings.method]
    raise ValueError(f"No method {settings.method!r} is registered; see register.")


def settings_classes(registry: Mapping[str, Method | TrainedMethod]) -> dict[str, type[Settings]]:
    """Return the Settings classes of a registry, by the names of the methods."""
    return {name: record.settings for name, record in registry.items()}


def methods_with(setting: str) -> list[str]:
    """Return the names of the methods for one image that have a setting."""
    return [name for name, record in METHODS.items() if setting in record.settings.model_fields]


def renamed_method(settings: object) -> str:
    """Return a sentence for settings recorded before BlindSpot was a method of its own."""
    if not isinstance(settings, Mapping) or settings.get("method") != "dip":
        return ""
    if settings.get("net") != "blind-spot":
        return ""
    return (
        "What is recorded as the method dip with the net blind-spot is the method blind-spot now."
    )


def dip_bytes(s: Any, channels: int) -> float:
    """Return the memory of a fit of a network of z, in bytes for each pixel."""
    return DIP_BYTES * s.channels * getattr(s, "restarts", 1)  # type: ignore[no-any-return]


def patchdip_bytes(s: Any, channels: int) -> float:
    """Return the memory of a fit of PatchDIP, in bytes for each pixel."""
    every = s.start == "random" and s.batch >= MANY_PATCHES  # patches in a step
    overlap = (s.patch / s.stride) ** 2
    return PATCHDIP_BYTES * channels + (DIP_BYTES * s.channels * overlap if every else 0)


def blind_spot_bytes(s: Any, channels: int) -> float:
    """Return the memory of a blind-spot fit, in bytes for each pixel."""
    each = BLIND_SPOT_BYTES + STD_BYTES * (s.std_from == "predicted")
    each += 2 * NEIGHBOUR_BYTES * getattr(s, "neighbours", 0)
    return each * channels * getattr(s, "restarts", 1)  # type: ignore[no-any-return]


def either_bytes(s: Any, channels: int) -> float:
    """Return the memory of a fit whose network may be either."""
    bytes_per_pixel = blind_spot_bytes if s.net == "blind-spot" else dip_bytes
    return bytes_per_pixel(s, channels)


register(
    METHODS,
    Method(
        BlindSpot,
        "napari_dip.methods.blind_spot:fit",
        blind_spot_bytes,
        warm_steps=lambda s: s.warm_steps if s.through_stack == "warm" else 0,
        knows_correlation=True,
    ),
)
register(METHODS, Method(DIP, "napari_dip.methods.dip:fit", dip_bytes, fits_jointly=True))
register(
    METHODS,
    Method(
        PatchDIP,
        "napari_dip.methods.patchdip.fit:fit",
        patchdip_bytes,
    ),
)
register(METHODS, "napari_dip.methods.self2self:METHOD")
register(METHODS, "napari_dip.methods.zs_n2n:METHOD")
register(METHODS, "napari_dip.methods.noise2fast:METHOD")

register(TRAINED, TrainedMethod(IDDP, "napari_dip.training.losses.iddp:loss"))
register(TRAINED, TrainedMethod(N2V, "napari_dip.training.losses.n2v:loss"))
register(TRAINED, TrainedMethod(Nb2Nb, "napari_dip.training.losses.nb2nb:loss"))
register(TRAINED, "napari_dip.training.losses.b2u:METHOD")
register(TRAINED, "napari_dip.training.losses.cvf_sid:METHOD")
register(TRAINED, TrainedMethod(N2N, "napari_dip.training.losses.n2n:loss", "capture"))
register(TRAINED, TrainedMethod(Supervised, "napari_dip.training.losses.supervised:loss", "clean"))

PREPARE = "napari_dip.batch.restore_tasks:prepare_"
for restoration in (
    Method(
        Inpaint,
        "napari_dip.restore.inpaint:fit",
        either_bytes,
        needs_noise=False,
        prepare=f"{PREPARE}inpaint",
    ),
    Method(
        Upscale,
        "napari_dip.restore.upscale:fit",
        dip_bytes,
        needs_noise=False,
        prepare=f"{PREPARE}upscale",
    ),
    Method(Guided, "napari_dip.restore.guided:fit", either_bytes, prepare=f"{PREPARE}guided"),
    Method(Invert, "napari_dip.restore.invert:fit", needs_noise=False, prepare=f"{PREPARE}invert"),
):
    register(RESTORATIONS, restoration)
