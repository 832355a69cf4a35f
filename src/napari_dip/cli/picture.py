"""The demo's picture: noisy, denoised, clean and residual side by side, and the curve that chose the step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_dip.images.image import Image

BAR: dict[str, Any] = {"location": "bottom", "shrink": 0.3, "aspect": 28, "pad": 0.02}
Point = tuple[int, float, float | None]  # step, loss, criterion


def draw(
    path: Path,
    images: Mapping[str, Image],
    titles: Mapping[str, str],
    curve: Sequence[Point],
    chosen: int,
    data_range: float,
) -> None:
    """Write the picture as PNG; nothing stands under `path` until it is whole.

    Parameters
    ----------
    path : Path
        The file to write.
    images : mapping of str to Image
        The planes ``noisy``, ``denoised`` and ``clean``, (Y, X) each.
    titles : mapping of str to str
        A second title line for them.
    curve : sequence of (step, loss, criterion)
        What was seen on the way.
    chosen : int
        The step whose answer was taken.
    data_range : float
        White, in gray levels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 7), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(2.3, 1))
    planes = {name: np.asarray(image.pixels, dtype=np.float64) for name, image in images.items()}
    white = min(data_range, float(np.percentile(planes["clean"], 99.8)) * 1.1) or data_range
    panels = [figure.add_subplot(grid[0, column]) for column in range(4)]
    shown: Any = None
    for axes, (name, plane) in zip(panels, planes.items(), strict=False):
        shown = _panel(axes, plane, f"{name.capitalize()}\n{titles[name]}", cmap="gray", vmin=0, vmax=white)
    figure.colorbar(shown, ax=panels[:3], **BAR, label="gray levels, one scale for the three")
    residual = planes["noisy"] - planes["denoised"]
    bound = float(np.percentile(np.abs(residual), 99)) or 1.0
    title = f"Residual (noisy - denoised)\nmean {residual.mean():.2f}, std {residual.std():.2f}"
    shown = _panel(panels[3], residual, title, cmap="RdBu_r", vmin=-bound, vmax=bound)
    figure.colorbar(shown, ax=panels[3], **(BAR | {"shrink": 0.9}), label="gray levels")
    _curve(figure.add_subplot(grid[1, :]), curve, chosen)
    part = path.with_name(f".{path.name}.part")
    try:
        figure.savefig(part, format="png", dpi=110)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _panel(axes: Any, plane: Any, title: str, **look: Any) -> Any:
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(plane, interpolation="nearest", **look)


def _curve(axes: Any, curve: Sequence[Point], chosen: int) -> None:
    """Draw loss and criterion over the steps, the chosen one marked; a log axis takes positive values."""
    for label, column, style in (("loss", 1, "0.55"), ("stopping criterion", 2, "C0")):
        points = [(p[0], p[column]) for p in curve if p[column] is not None and 0 < float(p[column] or 0) < np.inf]
        if points:
            axes.plot(*zip(*points, strict=True), color=style, lw=1.2, label=label)
    axes.axvline(chosen, color="C3", lw=1.2, ls="--", label=f"step taken: {chosen}")
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("squared error")
    axes.margins(x=0.01)
    axes.grid(alpha=0.25)
    axes.legend(loc="best")
