"""The verb ``info``: what an image or a model holds and what made it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from napari_dip.cli.flags import FILES, Json, flag
from napari_dip.cli.output import DONE, Output
from napari_dip.files.series import Series, SeriesError
from napari_dip.images.pictures import sizes_text
from napari_dip.methods.registry import renamed_method


def info(
    file: Annotated[Path, flag("An image file, or a model.", group=FILES)],
    /,
    *,
    series: Annotated[
        str | None,
        flag("Which image of a file that holds several; else they are listed.", group=FILES),
    ] = None,
    json: Json = False,
) -> int:
    """Print what a file holds: axes, shape, type, pixel size, and what made it."""
    from napari_dip.files.read_write import list_series, read
    from napari_dip.models.model import SUFFIX

    output = Output(json)
    if file.suffix.lower() == SUFFIX:
        return _print_model(file, output)
    try:
        image = read(file, series=series)
    except SeriesError:
        if series is not None or len(found := list_series(file)) < 2:
            raise
        return _print_series(file, found, output)
    provenance = dict(image.provenance)
    output.print(str(file))
    output.print(f"  axes   {image.axes}")
    output.print(f"  shape  {' x '.join(map(str, image.shape))}")
    output.print(f"  dtype  {image.dtype}")
    output.print(f"  scale  {sizes_text(image)}")
    if image.channels:
        output.print(f"  channels  {', '.join(image.channels)}")
    if provenance:
        output.print("  made by napari-dip:")
        for line in _lines(provenance, depth=2):
            output.print(line)
        if renamed := renamed_method(provenance.get("settings")):
            output.print(f"  {renamed}")
    else:
        output.print("  no record of napari-dip in it")
    output.print_json(
        {
            "file": str(file),
            "axes": image.axes,
            "shape": list(image.shape),
            "dtype": str(image.dtype),
            "scale": list(image.scale),
            "units": list(image.units),
            "channels": list(image.channels),
            "provenance": provenance,
        }
    )
    return DONE


def _print_series(path: Path, found: Sequence[Series], output: Output) -> int:
    """Print what images a file holds."""
    output.print(f"{path} holds {len(found)} images; --series takes their numbers or names:")
    for number, one in enumerate(found):
        output.print(f"  {number:>3}  {one}")
    rows = [{"number": i, **one._asdict()} for i, one in enumerate(found)]
    output.print_json({"file": str(path), "series": rows})
    return DONE


def _print_model(path: Path, output: Output) -> int:
    """Print all but the weights of a trained model."""
    from napari_dip.models.model import read_model_record

    record, weights = read_model_record(path)
    count = sum(tensor.numel() for tensor in weights.values())
    output.print(str(path))
    output.print(f"  a model of napari-dip with {count:,} weights")
    for line in _lines(record, depth=1):
        output.print(line)
    output.print_json({"file": str(path), "weights": count, **record})
    return DONE


def _lines(record: dict[str, Any], depth: int) -> list[str]:
    """Write a nested record as lines, escaped: text out of a file may hold control codes."""
    lines = []
    for key, value in record.items():
        shown = (
            "variance at intensity 0, as fitted"
            if key == "variance" and "gain" in record
            else ascii(key)[1:-1]
        )
        name = "  " * depth + shown
        if key == "noise" and value:
            models = value if isinstance(value, list) else [value]
            lines.append(f"{name}: {'; '.join(map(_noise, models))}")
        elif key == "correlation" and (short := _correlation(value)):
            lines.append(f"{name}: {short}")
        elif isinstance(value, dict):
            lines += [f"{name}:", *_lines(value, depth + 1)]
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for number, one in enumerate(value):
                lines += [f"{name} {number}:", *_lines(one, depth + 1)]
        else:
            lines.append(f"{name}: {_safe(value)}")
    return lines


def _noise(model: Any) -> str:
    """Write the line fitted to the noise; negative at intensity 0, it is no read noise there."""
    try:
        gain, intercept = float(model["gain"]), float(model["variance"])
    except (TypeError, KeyError, ValueError, OverflowError):  # a file may hold anything
        return _safe(model)
    sign, read = ("+", f", a read noise of {intercept**0.5:.3g}") if intercept >= 0 else ("-", "")
    return f"variance = {gain:.4g} * intensity {sign} {abs(intercept):.4g}, as fitted{read}"


def _correlation(table: Any) -> str:
    """Write what the nearest pixels share of their noise; the table has hundreds of numbers."""
    try:
        middle = len(table) // 2
        y, x = ([float(row) for row in rows] for rows in _nearest(table, middle))
    except (TypeError, ValueError, IndexError, OverflowError):  # a file may hold anything
        return ""
    y_text, x_text = (", ".join(f"{value:.2f}" for value in line) for line in (y, x))
    return f"{y_text} with the pixels 1 and 2 away in y; {x_text} in x"


def _nearest(table: Any, middle: int) -> tuple[list[Any], list[Any]]:
    lags = middle + 1, middle + 2
    return [table[lag][middle] for lag in lags], [table[middle][lag] for lag in lags]


def _safe(value: Any) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value))
