"""Sentences for a flag or a preset that belongs to another method than the one that is called."""

from __future__ import annotations

from collections.abc import Sequence

from napari_dip.methods.registry import METHODS, methods_with
from napari_dip.settings import Settings


def explain_other_method(tokens: Sequence[str], method: type[Settings]) -> str:
    """Return a sentence for a call of ``denoise``; empty where all flags are of its method.

    Parameters
    ----------
    tokens : sequence of str
        The words after ``napari-dip``.
    method : type of Settings
        The method that they choose.
    """
    for word, following in zip(tokens, [*tokens[1:], ""], strict=True):
        flag, _, value = word.partition("=")
        value, name = value or following, flag.removeprefix("--").replace("-", "_")
        if flag == "--net" and value == "blind-spot":
            return (
                "--net blind-spot is the method blind-spot now, which is the default: leave out "
                "--net, and --method."
            )
        if flag == "--preset" and value not in method.presets:
            others = [key for key, record in METHODS.items() if value in record.settings.presets]
            if others:
                return f"The preset {value} is one of the method {_choice(others)}."
        others = methods_with(name) if flag.startswith("--") else []
        if others and name not in method.model_fields:
            return f"{flag} is a setting of the method {_choice(others)}."
    return ""


def _choice(names: Sequence[str]) -> str:
    return f"{' or '.join(names)}, not of the one called: add --method {names[0]}"
