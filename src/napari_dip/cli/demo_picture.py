"""The demo's picture: noisy, denoised, clean, residual, and the curve that chose the step."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dip.files.atomic import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_dip.images.image import Image
    from napari_dip.settings import Settings

BAR: dict[str, Any] = {"location": "bottom", "shrink": 0.3, "aspect": 28, "pad": 0.02}
LOG_FROM = 20.0  # from this span on, greatest over least
Point = tuple[int, float, float | None]  # step, loss, criterion


def draw(
    path: Path,
    images: Mapping[str, Image],
    titles: Mapping[str, str],
    curve: Sequence[Point],
    chosen: int,
    data_range: float,
    labels: tuple[str, str] = ("loss", "stopping criterion"),
) -> None:
    """Write the picture as PNG, whole or not at all; the parameters are those of `figure_of`."""
    figure = figure_of(images, titles, curve, chosen, data_range, labels)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_bytes(path, content.getvalue())


def figure_of(
    images: Mapping[str, Image],
    titles: Mapping[str, str],
    curve: Sequence[Point],
    chosen: int,
    data_range: float,
    labels: tuple[str, str],
) -> Figure:
    """Return the picture.

    Parameters
    ----------
    images : mapping of str to Image
        The planes ``noisy``, ``denoised`` and ``clean``, (Y, X) each.
    titles : mapping of str to str
        A second title line for them.
    curve : sequence of (step, loss, criterion)
        Of all steps.
    chosen : int
        The step whose answer was taken.
    data_range : float
        White, in gray levels.
    labels : (str, str)
        What loss and criterion are, see `axis_labels`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(2.3, 1))
    planes = {name: np.asarray(image.pixels, dtype=np.float64) for name, image in images.items()}
    white = min(data_range, float(np.percentile(planes["clean"], 99.8)) * 1.1) or data_range
    panels = [figure.add_subplot(grid[0, column]) for column in range(4)]
    shown: Any = None
    for axes, (name, plane) in zip(panels, planes.items(), strict=False):
        shown = _panel(
            axes, plane, f"{name.capitalize()}\n{titles[name]}", cmap="gray", vmin=0, vmax=white
        )
    figure.colorbar(shown, ax=panels[:3], **BAR, label="gray levels, one scale for the three")
    residual = planes["noisy"] - planes["denoised"]
    bound = float(np.percentile(np.abs(residual), 99)) or 1.0
    title = f"Residual (noisy - denoised)\nmean {residual.mean():.2f}, std {residual.std():.2f}"
    shown = _panel(panels[3], residual, title, cmap="RdBu_r", vmin=-bound, vmax=bound)
    figure.colorbar(shown, ax=panels[3], **(BAR | {"shrink": 0.9}), label="gray levels")
    _curve(figure.add_subplot(grid[1, :]), curve, chosen, labels)
    return figure


def _panel(axes: Any, plane: Any, title: str, **look: Any) -> Any:
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(plane, interpolation="nearest", **look)


def axis_labels(how: Settings) -> tuple[str, str]:
    """Return labels for the loss and the stopping criterion of these settings."""
    criteria = {
        "held-out": "squared error on\nhidden pixels, with noise",
        "variance": "variance of the\nlast outputs",
    }
    return f"loss of\n{how.title}", criteria.get(getattr(how, "stop", ""), "stopping criterion")


def _curve(axes: Any, curve: Sequence[Point], chosen: int, labels: tuple[str, str]) -> None:
    """Draw loss and criterion over the steps, each on an axis of its own: their units differ."""
    loss = [(step, value) for step, value, _ in curve if np.isfinite(value)]
    criterion = [
        (step, value) for step, _, value in curve if value is not None and np.isfinite(value)
    ]
    if loss:
        steps, values = np.array(loss).T
        _line(axes, steps, values, "0.6", labels[0], lw=0.5, alpha=0.6)
        width = max(1, len(values) // 40)  # the loss of random crops jumps: its mean matters
        mean = np.convolve(values, np.full(width, 1 / width), mode="valid")
        axes.plot(steps[width - 1 :], mean, color="0.35", lw=1.4)
    if criterion:
        other = axes.twinx()
        steps, values = np.array(criterion).T
        _line(other, steps, values, "C0", labels[1], lw=1.6, marker=".", ms=4)
    axes.axvline(chosen, color="C3", lw=1.2, ls="--")
    axes.annotate(
        f" step taken: {chosen} ",
        (chosen, 0.94),
        xycoords=("data", "axes fraction"),
        color="C3",
        ha="right" if chosen > curve[-1][0] / 2 else "left",
        va="top",
    )
    axes.set_xlabel("step")
    axes.margins(x=0.01)
    axes.grid(alpha=0.25, axis="x")


def _line(axes: Any, steps: Any, values: Any, color: str, label: str, **look: Any) -> None:
    """Draw one curve, on a log axis where it spans much and is positive."""
    axes.plot(steps, values, color=color, **look)
    if values.min() > 0 and values.max() > LOG_FROM * values.min():
        axes.set_yscale("log")
    dark = "0.3" if color.startswith("0") else color
    axes.set_ylabel(label, color=dark)
    axes.tick_params(axis="y", colors=dark)
