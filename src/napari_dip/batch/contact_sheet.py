"""A page with a piece of each file of a run: raw, answer, residual, and what was said of it.

An entry is a line of the page, added as soon as its file is done; lines of earlier runs stay, so
that a run which was cut off and goes on leaves one page of all files.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from napari_dip.files.atomic import atomic_path
from napari_dip.images.pictures import contrast, picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_dip.images.image import Image

SHEET = "napari-dip-report.html"
SIDE = 192  # pixels of a piece, shown one by one: the noise is seen as it is
ENTRY, END = '<section data-file="', "</section>\n"
START, STOP = ENTRY.encode(), END.encode()
HEAD = (
    "<!doctype html>\n"
    '<meta charset="utf-8"><title>napari-dip</title>\n'
    "<style>body{font:14px sans-serif;background:#222;color:#ddd;margin:1em}"
    "section{display:inline-block;vertical-align:top;width:620px;margin:0 1em 2em 0}"
    "figure{display:inline-block;margin:0 6px 0 0}figcaption{color:#999}"
    "img{image-rendering:pixelated}a{color:#9cf}p{margin:.3em 0}b{color:#fc6}</style>\n"
)


@np.errstate(all="ignore")  # of pixels that are infinite
def pictures_of(image: Image, answer: Image) -> dict[str, str]:
    """Return pieces of the middle plane as pictures for HTML: raw, answer and residual.

    The piece is the one with most structure in the answer. Of an answer of another size there is no
    residual.
    """
    indices, inner = image.plane_indices(), answer.plane_indices()
    middle = len(indices) // 2
    raw, after = image.plane(indices[middle]), answer.plane(inner[middle])
    factor = after.shape[-1] // raw.shape[-1]
    y, x = _place(after[..., ::factor, ::factor])
    raw = raw[..., y : y + SIDE, x : x + SIDE]
    after = after[..., factor * y :, factor * x :][..., : factor * SIDE, : factor * SIDE]
    limits = contrast(after)
    shown = {"raw": picture(raw, limits, "JPEG"), "answer": picture(after, limits, "JPEG")}
    if raw.shape == after.shape:
        residual = raw - after
        finite = residual[np.isfinite(residual)]
        reach = 3 * float(finite.std()) if finite.size else 0.0
        shown["residual"] = picture(residual, (-reach, reach) if reach else (-1.0, 1.0), "JPEG")
    return shown


def _place(plane: NDArray[np.float64]) -> tuple[int, int]:
    """Return the corner of the square piece that varies most."""
    height, width = plane.shape[-2:]
    corners = [
        (y, x)
        for y in range(0, max(height - SIDE, 0) + 1, SIDE // 2)
        for x in range(0, max(width - SIDE, 0) + 1, SIDE // 2)
    ]
    spreads = [np.ptp(contrast(plane[..., y : y + SIDE, x : x + SIDE])) for y, x in corners]
    return corners[int(np.argmax(spreads))]


class ContactSheet:
    """Writes the page of a run.

    Parameters
    ----------
    path : Path
        Where it goes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun = False

    def add(self, key: str, record: Mapping[str, Any], pictures: Mapping[str, str]) -> None:
        """Add what became of a file; `key` is what it is known by.

        Raises
        ------
        OSError
            If the page cannot be written.
        """
        if not self._begun:  # of a run that was killed half an entry may be left
            self._begun = True
            self.close()
        line = f'{ENTRY}{_text(key)}">{_entry(self.path.parent, record, pictures)}{END}'
        with self.path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as page:
            page.write(line)

    def close(self) -> None:
        """Leave one entry a file, of those that were done twice the later.

        The page may be larger than memory, and other runs may have added to it: it is read anew.
        """
        if not self._begun:
            return
        last = {_key(line): number for number, line in enumerate(_entries(self.path))}
        size = self.path.stat().st_size if last else len(HEAD)
        with atomic_path(self.path, size) as part, part.open("wb") as page:
            page.write(HEAD.encode())
            for number, line in enumerate(_entries(self.path)):
                if last.get(_key(line)) == number:
                    page.write(line)


def _entries(path: Path) -> Iterator[bytes]:
    """Yield the entries of a page, but for one that is not whole; none where there is no page."""
    if path.exists():
        with path.open("rb") as page:
            yield from (line for line in page if line.startswith(START) and line.endswith(STOP))


def _key(entry: bytes) -> bytes:
    return entry.removeprefix(START).partition(b'"')[0]


def _entry(folder: Path, record: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    name = Path(record["input"]).name
    series = f" [{record['series']}]" if "series" in record else ""
    title = _text(name + series)
    output = record.get("output")
    if output:
        try:
            where = quote(Path(output).relative_to(folder).as_posix(), errors="replace")
            title = f'<a href="{where}">{title}</a>'
        except ValueError:  # elsewhere
            pass
    shown = "".join(
        f'<figure><img alt="{what}" src="{source}"><figcaption>{what}</figcaption></figure>'
        for what, source in pictures.items()
    )
    said = [f"{record['status']}, {record.get('seconds', 0):.0f} s", record.get("note", "")]
    verdict = (record.get("verdict") or {}).get("sentence", "")
    if verdict and verdict not in str(record.get("note", "")):
        said.append(verdict)
    error = f"<p><b>{_text(record['error'])}</b></p>" if record.get("error") else ""
    texts = "".join(f"<p>{_text(text)}</p>" for text in said if text)
    return f"<h3>{title}</h3>{shown}{texts}{error}"


def _text(text: object) -> str:
    """Return a text that a browser shows as it is, in one line."""
    return escape("".join(c if c.isprintable() else " " for c in str(text)))
