"""Write and read tensors and a record in one safetensors file, which runs no code.

The format is eight bytes with the length of a JSON header, the header, and the tensors' bytes. What
is read is checked before memory is taken: the record is JSON, and names, shapes and types of the
tensors must be those expected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_dip.files.atomic import write_bytes
from napari_dip.files.safetensors_header import read_header

_TYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U8": torch.uint8}


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], key: str, record: Mapping[str, Any]
) -> None:
    """Write tensors and their record; nothing stands under `path` until the file is whole."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    content = save(plain, metadata={key: json.dumps(record, allow_nan=False)})
    write_bytes(path, content)


def read_record(path: Path, key: str, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the record, and for each tensor an empty one of its shape and type.

    `what` is what the file should be, for the sentence that refuses it: "model of napari-dip".
    """
    record, header, space = read_header(path, key, what)
    return record, _stand_ins(header, space, path)


def _stand_ins(header: Mapping[str, Any], space: int, path: Path) -> dict[str, Tensor]:
    """Check what the header says about each tensor against the size of the file."""
    found, ends = {}, [0]
    for name, entry in header.items():
        try:
            dtype, shape = _TYPES[entry["dtype"]], [int(n) for n in entry["shape"]]
            start, end = (int(n) for n in entry["data_offsets"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ValueError(
                f"{path.name} has a damaged table of weights ({_short(name)}); copy it again."
            ) from None
        if min(shape, default=0) < 0 or start < 0 or end - start != prod(shape) * dtype.itemsize:
            raise ValueError(
                f"{path.name} has a damaged table of weights ({_short(name)}); copy it again."
            )
        ends.append(end)
        found[name] = torch.empty(shape, dtype=dtype, device="meta")
    if max(ends) != space:
        raise ValueError(
            f"{path.name} is cut short or damaged: its weights need {max(ends):,} bytes, not "
            f"{space:,}."
        )
    return found


def check_tensors(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not those wanted, by name, shape and type."""
    for name in [*wanted, *found]:
        if name not in found:
            raise ValueError(
                f"{path.name} lacks the weights {_short(name)} of its network; it can't be used."
            )
        if name not in wanted:
            raise ValueError(
                f"{path.name} holds weights {_short(name)} that its network has not; it can't be "
                "used."
            )
        have, want = found[name], wanted[name]
        if have.shape != want.shape or have.dtype != want.dtype:
            raise ValueError(
                f"{path.name} holds weights {_short(name)} of shape {tuple(have.shape)} and type "
                f"{have.dtype}; its network has {tuple(want.shape)} and {want.dtype}."
            )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file whose record and table were checked; refuse NaN and infinity."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path, device="cpu")
    except (SafetensorError, ValueError) as error:
        raise ValueError(
            f"{path.name} is damaged ({error}); copy it again from its source."
        ) from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                f"{path.name} holds weights that are NaN or infinite ({_short(name)}); train it "
                "again."
            )
    return tensors


def _short(name: str) -> str:
    return ascii(name[:60])
