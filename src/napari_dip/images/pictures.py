"""Small pictures of planes for a notebook or a page, and an image as HTML."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
UNKNOWN = "not given"
SIDE = 256  # pixels of a picture
SHOWN = (0.5, 99.8)  # percentiles that are black and white


def middle_plane(image: Any) -> NDArray[np.float64]:
    """Read the plane in the middle of a stack, (C, Y, X)."""
    indices = image.plane_indices()
    plane: NDArray[np.float64] = image.plane(indices[len(indices) // 2])
    return plane


def contrast(plane: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return the values to be shown black and white."""
    finite = plane[np.isfinite(plane)]
    low, high = np.percentile(finite, SHOWN, method="nearest") if finite.size else (0.0, 1.0)
    return (float(low), float(high)) if high > low else (float(low) - 1, float(low) + 1)


def picture(
    plane: NDArray[np.floating[Any]], limits: tuple[float, float], kind: str = "PNG"
) -> str:
    """Return a plane (C, Y, X) as a picture for HTML: grey, or colour where C is 3 or more."""
    import PIL.Image

    low, high = limits
    # Values may be as large as floats are: halved, no difference overflows.
    with np.errstate(all="ignore"):  # of pixels that are infinite
        shown = (plane / 2 - low / 2) / (high / 2 - low / 2)
    values = np.nan_to_num(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    pixels = np.moveaxis(values[:3], 0, -1) if len(values) > 2 else values[0]
    stream = BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format=kind, quality=85)
    return f"data:image/{kind.lower()};base64,{b64encode(stream.getvalue()).decode()}"


def thinned(plane: NDArray[np.float64], side: int = SIDE) -> NDArray[np.float64]:
    """Return every n-th pixel of a plane, at most `side` of them."""
    step = -(-max(plane.shape[-2:]) // side)
    return plane[..., ::step, ::step]


def to_html(facts: Iterable[tuple[str, str]], image: Any) -> str:
    """Return the middle plane of an image beside a table of facts."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(of)}</td></tr>" for name, of in facts)
    plane = thinned(middle_plane(image))
    source = picture(plane, contrast(plane))
    return (
        f'<div style="display:flex;gap:1em"><img alt="middle plane" src="{source}"/>'
        f"<table>{rows}</table></div>"
    )


def sizes_text(image: Any) -> str:
    """Return the pixel size of each axis; 1 pixel stands where nothing is known."""
    steps = zip(image.axes, image.scale, image.units, strict=True)
    known = {
        a: UNKNOWN if (s, u) == (1, "pixel") else f"{s:g} {u}" for a, s, u in steps if a != "C"
    }
    if set(known.values()) == {UNKNOWN}:
        return UNKNOWN
    return ", ".join(f"{axis} {size}" for axis, size in known.items())


def facts_of(image: Any) -> list[tuple[str, str]]:
    """Return what there is to say of an image, by name."""
    facts = [
        ("name", image.name),
        ("axes", image.axes),
        ("shape", " x ".join(map(str, image.shape))),
        ("type", str(image.dtype)),
        ("pixel size", sizes_text(image)),
        ("channels", ", ".join(image.channels)),
        ("remarks", " ".join(image.remarks)),
    ]
    return [(name, of) for name, of in facts if of and of != UNKNOWN]
