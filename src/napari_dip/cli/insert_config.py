"""The words of a file of settings, put among those of the command line that it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dip.methods.registry import METHODS

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAG = "--config"


def with_config(tokens: Sequence[str]) -> list[str]:
    """Return the command line with what its file of settings holds; what stands there itself wins.

    Parameters
    ----------
    tokens : sequence of str
        The words after ``napari-dip``, at least one.

    Raises
    ------
    UsageError
        With a sentence that names the file, when something in it is wrong.
    """
    path = _value(tokens, FLAG)
    if tokens[0] != "denoise" or path is None or "--help" in tokens or "-h" in tokens:
        return list(tokens)
    from napari_dip.batch.config import FLAGS, read_config

    settings = {key for method in METHODS.values() for key in method.settings.model_fields}
    given: dict[str, Any] = {}
    for key in FLAGS | settings:
        if (value := _value(tokens, _flag(key))) is not None or _flag("no_" + key) in tokens:
            given[key] = value
    words = [
        _word(key, value)
        for key, value in read_config(Path(path), given).items()
        if key != "std" or value
    ]
    return [tokens[0], *words, *tokens[1:]]


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _word(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return _flag(key if value else "no_" + key)
    return f"{_flag(key)}={value}"


def _value(tokens: Sequence[str], flag: str) -> str | None:
    """Return what follows a flag, None where it is not among the words."""
    for word, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if word == flag:
            return following
        if word.startswith(flag + "="):
            return word.removeprefix(flag + "=")
    return None
