"""A file of settings, TOML, which ``--config`` takes and the dock Batch loads and saves.

Each line is a flag without its dashes, or a setting of the method: ``learning_rate = 0.002``.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from napari_dip.errors import UsageError
from napari_dip.files.atomic import write_bytes
from napari_dip.methods.registry import METHODS, methods_with
from napari_dip.settings import Settings, explain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LARGEST = 1 << 20  # bytes
HEAD = "# napari-dip denoise IMAGES -o OUT --config THIS_FILE"


class CommonFlags(BaseModel):
    """The flags that a file can hold which go with a fit and with a model alike."""

    model_config = ConfigDict(strict=True)

    device: str = "auto"
    axes: str = ""
    dtype: Literal["float32", "same"] = "float32"
    compression: Literal["", "none", "deflate", "zstd", "lzw"] = ""
    ome_zarr: Literal["", "0.4", "0.5"] = ""
    pattern: str = "*"
    std: bool = False
    recursive: bool = True
    series: int | str = ""
    channel: int | str = ""
    time: int | str = ""
    plane: int | str = ""


class Flags(CommonFlags):
    """All flags that a file can hold."""

    method: str = ""
    preset: str = ""
    model: str = ""
    orientations: Literal[1, 2, 4, 8] = 1


COMMON, FLAGS = set(CommonFlags.model_fields), set(Flags.model_fields)
OF_MODEL = {"model", "orientations"}


def read_config(path: Path, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a file of settings.

    Parameters
    ----------
    path : Path
        The file.
    given : mapping, optional
        What was chosen elsewhere and wins over the file, such as a ``method``.

    Returns
    -------
    dict
        Value by key, checked; a model's path is taken from the file's folder on. What is given is
        left out, and so is what does not go with it: a model where settings are given, settings
        where a model is.

    Raises
    ------
    UsageError
        With a sentence that names the file, and the key where one is wrong.
    """
    try:
        values = {
            key.replace("-", "_"): value for key, value in tomllib.loads(_text_of(path)).items()
        }
    except OSError as error:
        raise UsageError(f"The file of settings {path} can't be read: {error.strerror}.") from error
    except RecursionError:
        raise UsageError(f"{path} is no file of settings: it is nested too deep.") from None
    except ValueError as error:  # TOML and UTF-8 alike
        reason = str(error).rstrip(".")
        raise UsageError(f"{path} is no file of settings in TOML: {reason}.") from error
    given = given or {}
    of_fit = set(values) - COMMON - OF_MODEL
    if "model" in values and of_fit:
        raise UsageError(
            f"{path}: model brings its own settings: leave out {', '.join(sorted(of_fit))}, or "
            "model."
        )
    _check(path, values, given.get("method"))
    if "model" in values:
        values["model"] = str(path.parent / values["model"])
    drop = set(given)
    if "model" in given:
        drop |= of_fit
    elif drop - COMMON:
        drop |= OF_MODEL
    return {key: value for key, value in values.items() if key not in drop}


def _text_of(path: Path) -> str:
    size = path.stat().st_size  # of what is not there, an OSError
    if not path.is_file() and not path.is_dir():  # a device or a pipe: reading might not end
        raise UsageError(f"The file of settings {path} can't be read: it is no file.")
    if size > LARGEST:
        raise UsageError(f"{path} is no file of settings: it has more than {LARGEST:,} bytes.")
    return path.read_text("utf-8-sig")


def write_config(path: Path, values: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Write a file of settings, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    values : mapping
        As `read_config` returns it; None is left out.
    overwrite : bool
        Whether the file may exist.

    Raises
    ------
    UsageError
        When it cannot be written.
    """
    if path.suffix.lower() != ".toml":
        raise UsageError(
            f"The file of settings {path} must end with .toml, so that no image is replaced by it."
        )
    if path.exists() and not overwrite:
        raise UsageError(f"The file of settings {path} exists", "choose another name", "overwrite")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, config_text(values).encode())
    except (OSError, UnicodeError) as error:
        raise UsageError(f"The file of settings can't be written: {error}") from error


def config_text(values: Mapping[str, Any]) -> str:
    """Return what `write_config` writes."""
    lines = [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join([HEAD, *lines]) + "\n"


def config_values(
    settings: Settings, preset: str, model: Path | None, **flags: Any
) -> dict[str, Any]:
    """Return what `write_config` is to write: the preset and what differs from it, or the model.

    Parameters
    ----------
    settings, preset
        The method's settings, and where they started.
    model : Path, optional
        A trained model, which brings its own.
    **flags
        Of `CommonFlags`.
    """
    if model is not None:
        return {"model": str(model.absolute()), **flags}
    start = settings.preset(preset)
    edited = {key: value for key, value in settings if value != getattr(start, key)}
    return {"method": settings.method, "preset": preset, **edited, **flags}


def _check(path: Path, values: Mapping[str, Any], given_method: str | None) -> None:
    """Refuse a key that is none, and a value that its key cannot have."""
    names = list(METHODS)
    try:
        Flags.model_validate({key: value for key, value in values.items() if key in FLAGS})
        if (own := values.get("method", names[0])) not in names:
            raise UsageError(f"{path}: method is {own!r}; it must be {' or '.join(names)}.")
        name = given_method or own
        if name not in names:  # the command line's: refused when its flags are parsed
            return
        settings = {key: value for key, value in values.items() if key not in FLAGS}
        for key, value in settings.items():
            _check_key(path, key, value, name)
        method, preset = METHODS[name].settings, values.get("preset", "")
        others = [key for key, record in METHODS.items() if preset in record.settings.presets]
        if preset and others and preset not in method.presets:
            raise UsageError(
                f"{path}: preset {preset} is one of the method {' or '.join(others)}, not of "
                f'{name}: write method = "{others[0]}".'
            )
        method.preset(values.get("preset", next(iter(method.presets))), **settings)
        types: Any = {
            key: (info.annotation, info.default) for key, info in method.model_fields.items()
        }
        # Strictly: by itself pydantic would take true for 1, and "no" for false.
        create_model(name, __config__=ConfigDict(strict=True), **types).model_validate(settings)
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _check_key(path: Path, key: str, value: object, name: str) -> None:
    known = key in METHODS[name].settings.model_fields
    if known and (key, value) != ("net", "blind-spot"):
        return
    if key == "net" and value == "blind-spot":
        raise UsageError(
            f"{path}: net = {value!r} is the method blind-spot now: leave the line out, and write "
            'method = "blind-spot".'
        )
    if others := methods_with(key):
        raise UsageError(
            f"{path}: {key} is a setting of the method {' or '.join(others)}, not of {name}: "
            f'write method = "{others[0]}".'
        )
    raise UsageError(
        f"{path}: {key} is neither a flag that a file can hold ({', '.join(Flags.model_fields)}) "
        f"nor a setting of the method {name}."
    )


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)
