"""mkdocs hook: what can be read off the code is not written by hand.

``<!-- settings -->`` becomes a table of every method's settings, ``<!-- presets -->`` one of the
presets, ``<!-- restorations -->`` says in which settings each restoration differs from the methods
that it is built on, ``<!-- help: VERB -->`` becomes the verb's ``--help``, and ``<!-- pictures:
stacks -->`` a table of what was measured on the pictures of docs/stacks.md.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

from napari_dip.methods import registry
from napari_dip.settings import DIP, BlindSpot, BlindSpotOrZ, Knob, Settings, knobs

METHODS = registry.settings_classes(registry.METHODS)
RESTORATIONS = registry.settings_classes(registry.RESTORATIONS)
TRAINED = registry.settings_classes(registry.TRAINED)

PICTURES = Path(__file__).resolve().parent / "results" / "stack_pictures.json"
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the places of one page."""
    methods = [*METHODS.values(), *TRAINED.values()]
    markdown = markdown.replace("<!-- settings -->", "\n\n".join(map(settings_table, methods)))
    markdown = markdown.replace("<!-- presets -->", "\n\n".join(map(presets_table, methods)))
    markdown = markdown.replace(
        "<!-- restorations -->", "\n\n".join(map(changes_table, RESTORATIONS.values()))
    )
    if "<!-- pictures: stacks -->" in markdown:
        markdown = markdown.replace("<!-- pictures: stacks -->", pictures_table())
    return re.sub(r"<!-- help: (\w+) -->", lambda found: help_text(found[1]), markdown)


def settings_table(method: type[Settings]) -> str:
    """Write a method's settings as a table, from its Settings class alone."""
    rows = [f"| {' | '.join(map(_cell, row(knob)))} |" for knob in knobs(method)]
    head = ["| setting | default | allowed | unit | what it does |", "|---|---|---|---|---|"]
    return "\n".join([f"### {method.title} (`{method.method}`)", "", *head, *rows])


def row(knob: Knob) -> tuple[str, str, str, str, str]:
    """Return one line of the table."""
    bounds = ", ".join(f"{SIGNS[sign]} {limit:.10g}" for sign, limit in knob.bounds.items())
    choices = ", ".join(
        f"`{c}`" for c in getattr(knob.annotation, "__args__", ()) if isinstance(c, str)
    )
    return f"`{knob.name}`", f"`{knob.default}`", choices or bounds, knob.unit, knob.help


def presets_table(method: type[Settings]) -> str:
    """Write a method's presets and what each changes."""
    lines = [f"| preset of {method.title} | differs from the defaults in |", "|---|---|"]
    for name, values in method.presets.items():
        changes = ", ".join(f"`{key} = {value!r}`" for key, value in values.items())
        lines.append(f"| `{name}` | {_cell(changes or 'nothing: these are the defaults')} |")
    return "\n".join(lines)


def changes_table(task: type[Settings]) -> str:
    """Write in which settings a restoration differs from its bases, and its presets."""
    bases = (BlindSpot, DIP) if issubclass(task, BlindSpotOrZ) else (DIP,)
    plain = {knob.name: row(knob) for base in reversed(bases) for knob in knobs(base)}
    own = {knob.name: row(knob) for knob in knobs(task)}
    rows = [
        f"| {' | '.join(map(_cell, cells))} |"
        for name, cells in own.items()
        if plain.get(name) != cells
    ]
    names = " and ".join(f"`{base.__name__}`" for base in bases)
    head = [
        f"| differs from {names} in | default | allowed | unit | what it does |",
        "|---|---|---|---|---|",
    ]
    without = ", ".join(f"`{name}`" for name in plain if name not in own)
    more = ["", f"Not there, since nothing here asks for it: {without}.", ""]
    return "\n".join(
        [f"### {task.title} (`{task.__name__}`)", "", *head, *rows, *more, presets_table(task)]
    )


def pictures_table() -> str:
    """Write what stacks_pictures.py measured on the answers that it drew."""
    record = json.loads(PICTURES.read_text("utf-8"))
    names, psnr = record["psnr"].keys(), record["psnr"].values()
    seconds = [record["runs"].get(name, {}).get("cpu_seconds", "") for name in names]
    machine = record["machine"]
    return "\n".join(
        [
            f"| | {' | '.join(names)} |",
            "|---" * (len(names) + 1) + "|",
            f"| PSNR (dB) | {' | '.join(f'{score:.2f}' for score in psnr)} |",
            f"| CPU seconds | {' | '.join(map(str, seconds))} |",
            "",
            f"`python docs/stacks_pictures.py`: {record['data']}, seed {record['seed']}, at "
            f"{record['code']}, "
            f"{machine['processor']}, {machine['threads']} thread, torch {machine['torch']}.",
        ]
    )


def help_text(verb: str) -> str:
    """Return what ``napari-dip VERB --help`` prints, as a block."""
    from rich.console import Console

    from napari_dip.cli.commands import build

    page = io.StringIO()
    build([verb]).help_print([verb], console=Console(width=100, file=page))
    lines = [line.rstrip() for line in page.getvalue().rstrip().splitlines()]
    return "\n".join(["```text", *lines, "```"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
