"""`Model`: a trained network with all that is needed to apply it, and its file."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_dip.files.target import check_target
from napari_dip.methods.registry import TRAINED
from napari_dip.settings import Settings, Trained
from napari_dip.settings.trained import renamed

if TYPE_CHECKING:
    from torch import Tensor

    from napari_dip.nets.filter_unet import BlurredUNet

KEY = "napari-dip"  # under which the record stands in the file
FORMAT = 1  # of models and checkpoints; the newest that is read
SUFFIX = ".safetensors"
LARGEST_HOLE = 64  # pixels
MOST_WEIGHTS = 1 << 30  # of a network that a file may ask for
WHAT = "model of napari-dip"
# What a file means that was written before there was such a setting, where not its default.
OLDER = {"unshuffle": 1}


@dataclass(frozen=True, eq=False)
class Model:
    """A network trained once, to be applied often: ``denoise(image, model)``.

    Attributes
    ----------
    net : torch.nn.Module
        Maps (B, channels, Y, X) in units of three times the noise to its denoised self; where it
        was trained with `neighbours`, these planes come in as further channels.
    settings : Settings
        What it was trained with.
    channels : int
        Channels of the images it takes; 1 takes any image, channel by channel.
    statistics : mapping
        Intensities and noise of the training data: ``intensity`` (least, mean, greatest),
        ``contrast`` (of the images, in units of the noise), ``gain`` and ``variance`` of the noise,
        each least and greatest over the images, and ``noise_is_correlated``.
    training : mapping
        Steps done, the training data in brief with a SHA-256, device, versions.
    description, licence : str
        Free texts of whoever trained it.
    """

    net: BlurredUNet
    settings: Trained
    channels: int
    statistics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    licence: str = ""

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the model as one ``.safetensors`` file, whole or not at all.

        Parameters
        ----------
        path : path-like
            With the suffix ``.safetensors``.
        overwrite : bool
            Whether a file of that name may be replaced.

        Raises
        ------
        ValueError
            If the name has another suffix.
        FileExistsError, FileNotFoundError, OSError
            If the file is there, its folder is not, or the disk is full.
        """
        from napari_dip.models.safetensors_file import write_tensors

        target = check_model_path(path, overwrite)
        write_tensors(target, self.net.state_dict(), KEY, self.to_json())
        return target

    def with_orientations(self, count: Literal[1, 2, 4, 8]) -> Model:
        """Return the model averaging so many flips and quarter turns where it is applied.

        Each takes as long as the first; eight gave 0.04 dB more on FMD.
        """
        settings = type(self.settings)(**{**dict(self.settings), "orientations": count})
        return replace(self, settings=settings)

    def to_provenance(self) -> dict[str, Any]:
        """Return its part of the provenance of an image, beside the settings; ready for JSON."""
        names = ("network", "training", "description", "licence")
        return {name: value for name, value in self.to_json().items() if name in names}

    def to_json(self) -> dict[str, Any]:
        """Return all but the weights, ready for JSON."""
        return {
            "format": FORMAT,
            "network": network(self.settings, self.channels, self.net.holes),
            "settings": self.settings.to_json(),
            "axes": "YX" if self.channels == 1 else "CYX",
            "channels": self.channels,
            "statistics": dict(self.statistics),
            "training": dict(self.training),
            "description": self.description,
            "licence": self.licence,
            "versions": versions(),
        }


def load_model(path: str | PathLike[str]) -> Model:
    """Read a trained model; no code of the file runs, and nothing of it is unpickled.

    Parameters
    ----------
    path : path-like
        A file that `Model.save` or ``napari-dip train`` has written.

    Returns
    -------
    Model
        On the CPU.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    ValueError
        If it is none of ours, cut short, damaged, or of a newer format.
    """
    from napari_dip.models.safetensors_file import check_tensors, read_tensors

    file = Path(path)
    record, found = read_model_record(file)
    settings, channels = settings_of(record, file), record["channels"]
    holes = holes_of(record, file)
    try:
        wanted = build(settings, channels, "meta", holes).state_dict()
    except (RuntimeError, OverflowError, MemoryError):
        raise ValueError(
            f"{file.name} asks for a network that can't be built; it is no {WHAT}."
        ) from None
    check_tensors(found, wanted, file)
    net = build(settings, channels, "cpu", holes)
    net.load_state_dict(read_tensors(file))
    texts = {name: str(record.get(name, ""))[:10_000] for name in ("description", "licence")}
    return Model(net.eval(), settings, channels, record["statistics"], record["training"], **texts)


def read_model_record(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read all but the weights, checked; raises as `load_model`."""
    from napari_dip.models.safetensors_file import read_record

    record, found = read_record(path, KEY, WHAT)
    return _check_record(record, path), found


def peek(path: Path) -> tuple[dict[str, Any], Trained]:
    """Read the record of a model file and its settings, without loading weights or torch."""
    from napari_dip.files.safetensors_header import read_header

    record = _check_record(read_header(path, KEY, WHAT)[0], path)
    return record, settings_of(record, path)


def check_format(record: Mapping[str, Any], path: Path, what: str) -> None:
    """Refuse a record without a format, or of one that is newer than this version."""
    number = record.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"{path.name} is no {what}: its record names no format.")
    if number > FORMAT:
        raise ValueError(
            f"{path.name} has format {number}, newer than {FORMAT}: update napari-dip (pip "
            "install -U)."
        )


def _check_record(record: dict[str, Any], path: Path) -> dict[str, Any]:
    check_format(record, path, WHAT)
    channels = record.get("channels")
    if not isinstance(channels, int) or isinstance(channels, bool) or not 1 <= channels <= 64:
        raise ValueError(f"{path.name} is for {str(channels)[:20]} channels; 1 to 64 can be.")
    for name in ("settings", "statistics", "training", "network"):
        if not isinstance(record.get(name), dict):
            raise ValueError(f"{path.name} has a damaged record: {name} is missing.")
    return record


def settings_of(record: Mapping[str, Any], path: Path) -> Trained:
    """Rebuild the settings of a record and check them against the network that it names."""
    values = OLDER | record["settings"]
    method = values.pop("method", None)
    if not isinstance(method, str) or method not in TRAINED:
        raise ValueError(
            f"{path.name} was trained by {str(method)[:40]!a}, which this version does not know."
        )
    check_known(values, TRAINED[method].settings, path)
    try:
        settings = TRAINED[method].settings(**values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path.name} has settings that can't be: {str(error)[:200]}") from None
    weights = (
        100 * settings.channels**2 * 4**settings.depth
        + 100 * settings.channels * settings.unshuffle**2
        + 9 * settings.filter_channels**2 * settings.filter_layers
    )
    if weights > MOST_WEIGHTS:
        raise ValueError(
            f"{path.name} asks for a network of {settings.channels} channels and depth "
            f"{settings.depth}, too large."
        )
    names = {
        "name",
        "colours",
        "holes",
        *values,
    }  # a version without a knob did not write it here either
    mine = network(settings, record["channels"], holes_of(record, path))
    if renamed(record["network"]) != {name: mine[name] for name in mine if name in names}:
        raise ValueError(
            f"{path.name} names another network than its settings do; it can't be used."
        )
    return settings


def holes_of(record: Mapping[str, Any], path: Path) -> tuple[int, ...]:
    """Return the holes of a record's network; (0,) where it names none."""
    holes = record["network"].get("holes", [0])
    known = isinstance(holes, list) and holes and all(type(hole) is int for hole in holes)
    if not known or (
        holes != [0] and (holes[:-1] not in ([], [0]) or not 0 < holes[-1] <= LARGEST_HOLE)
    ):
        raise ValueError(f"{path.name} names holes {str(holes)[:40]} that its network can't have.")
    return tuple(holes)


def check_known(values: Mapping[str, Any], settings: type[Settings], path: Path) -> None:
    """Refuse settings that this version does not know; those that a file lacks are defaults."""
    known = {*settings.model_fields, *settings.retired}
    unknown = sorted(name for name in values if name not in known)
    if unknown:
        raise ValueError(
            f"{path.name} was made by a newer napari-dip, with a setting {unknown[0][:40]!a} "
            "that this one does not have: update napari-dip (pip install -U)."
        )


def network(settings: Trained, channels: int, holes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Name the network and its sizes; `holes` only where its noise may be correlated."""
    names = ("channels", "depth", "start", "blur", "filter_channels", "filter_layers")
    return {
        "name": "blurred-unet",
        "colours": channels,
        **{name: getattr(settings, name) for name in names},
        **({} if holes == (0,) else {"holes": list(holes)}),
        **({"neighbours": settings.neighbours} if settings.neighbours else {}),
        **({"unshuffle": settings.unshuffle} if settings.unshuffle > 1 else {}),
        **({"box": settings.box} if settings.box else {}),
    }


def build(
    settings: Trained, channels: int, device: str = "cpu", holes: tuple[int, ...] = (0,)
) -> BlurredUNet:
    """Build the network that the settings name, its weights random."""
    import torch

    from napari_dip.nets.filter_unet import BlurredUNet

    sizes = network(settings, channels)
    del sizes["name"]
    with torch.device(device):
        return BlurredUNet(**sizes, holes=holes)


def check_model_path(path: str | PathLike[str], overwrite: bool) -> Path:
    """Refuse a name under which no model can or may be written."""
    target = Path(path)
    if target.suffix.lower() != SUFFIX:
        raise ValueError(f"{target.name} must end with {SUFFIX}, the format of a model file.")
    check_target(target, overwrite)
    return target


def versions() -> dict[str, str]:
    """Return the versions that a record names."""
    names = ("napari-dip", "torch", "numpy", "safetensors")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
