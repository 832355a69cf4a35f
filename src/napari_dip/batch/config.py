"""A file of settings, TOML, which the command line takes as ``--config`` and the dock Batch loads and saves.

Each line is a flag without its dashes, or a setting of the method: ``learning_rate = 0.002``.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from napari_dip.errors import UsageError
from napari_dip.files.atomic import write_bytes
from napari_dip.methods.registry import METHODS, methods_with
from napari_dip.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEAD = "# napari-dip denoise IMAGES -o OUT --config THIS_FILE"
WORDS, SWITCHES = (
    ("method", "preset", "model", "device", "axes", "dtype", "pattern"),
    ("std", "recursive"),
)
PLAIN = (*WORDS[2:], *SWITCHES)  # go with a fit and with a model alike


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
        Value by key, checked; a model's path is taken from the file's folder on. What is given is left out, and so is
        what does not go with it: a model where settings are given, settings where a model is.

    Raises
    ------
    UsageError
        With a sentence that names the file, and the key where one is wrong.
    """
    try:
        values = {
            key.replace("-", "_"): value
            for key, value in tomllib.loads(path.read_text("utf-8")).items()
        }
    except OSError as error:
        raise UsageError(f"The file of settings {path} can't be read: {error.strerror}.") from error
    except ValueError as error:  # TOML and UTF-8 alike
        raise UsageError(
            f"{path} is no file of settings in TOML: {str(error).rstrip('.')}."
        ) from error
    given = given or {}
    fit = set(values) - set(PLAIN)
    if "model" in values and fit:
        raise UsageError(
            f"{path}: model brings its own settings: leave out {', '.join(sorted(fit))}, or model."
        )
    _check(path, values, str(given.get("method", values.get("method", next(iter(METHODS))))))
    if "model" in values:
        values["model"] = str(path.parent / values["model"])
    against = fit if "model" in given else {"model"} if set(given) - set(PLAIN) else set()
    return {key: value for key, value in values.items() if key not in given and key not in against}


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
        With a sentence, when it cannot be written.
    """
    if path.suffix.lower() != ".toml":
        raise UsageError(
            f"The file of settings {path} must end with .toml, so that no image is replaced by it."
        )
    lines = [
        HEAD,
        *(f"{key} = {_toml(value)}" for key, value in values.items() if value is not None),
    ]
    if path.exists() and not overwrite:
        raise UsageError(
            f"The file of settings {path} exists: choose another name, or say --overwrite."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, ("\n".join(lines) + "\n").encode())
    except (OSError, UnicodeError) as error:
        raise UsageError(f"The file of settings can't be written: {error}") from error


def saved(settings: Settings, preset: str, model: Path | None, **more: Any) -> dict[str, Any]:
    """Return what `write_config` is to write: the preset and what differs from it, or the model.

    Parameters
    ----------
    settings, preset
        The method's settings, and where they started.
    model : Path, optional
        A trained model, which brings its own.
    **more
        ``device``, ``axes``, ``dtype``, ``std``, ``pattern``, ``recursive``.
    """
    if model is not None:
        return {"model": str(model.absolute()), **more}
    start = settings.preset(preset)
    edited = {key: value for key, value in settings if value != getattr(start, key)}
    return {"method": settings.method, "preset": preset, **edited, **more}


def _check(path: Path, values: Mapping[str, Any], name: str) -> None:
    """Refuse a key that is none, and a value that its key cannot have."""
    for key in (key for key in (*WORDS, *SWITCHES) if key in values):
        kind, wanted = (bool, "true or false") if key in SWITCHES else (str, "a text")
        names = {"method": tuple(METHODS), "dtype": ("float32", "same")}.get(key)
        choices = names or (values[key],)
        if not isinstance(values[key], kind) or values[key] not in choices:
            raise UsageError(
                f"{path}: {key} is {values[key]!r}; it must be {' or '.join(names or (wanted,))}."
            )
    if name not in METHODS:  # the command line's: refused when its flags are parsed
        return
    method = METHODS[name].settings
    own = {key: value for key, value in values.items() if key not in WORDS and key not in SWITCHES}
    for key, value in own.items():
        if key not in method.model_fields:
            others = [other for other in methods_with(key) if other != name]
            if others:
                raise UsageError(
                    f"{path}: {key} is a setting of the method {' or '.join(others)}, not of {name}: "
                    f'write method = "{others[0]}".'
                )
            raise UsageError(
                f"{path}: {key} is neither a flag that a file can hold ({', '.join((*WORDS, *SWITCHES))}) "
                f"nor a setting of the method {name}."
            )
        switch = method.model_fields[key].annotation is bool
        if isinstance(value, bool) != switch:  # pydantic would take true for 1, and "no" for false
            wanted = "true or false" if switch else "no switch, but a number or a text"
            raise UsageError(f"{path}: {key} is {_toml(value)}; it must be {wanted}.")
    try:
        method.preset(values.get("preset", next(iter(method.presets))), **own)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        repr(value)
        if isinstance(value, int | float)
        else json.dumps(str(value), ensure_ascii=False)
    )
