"""Damaged and hostile inputs: TIFF, OME, PNG, Zarr, records in files, models, TOML; see `fuzz.py`.

Every input is written from a seed. Nothing is downloaded, and no input needs another program.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_dip import Image, write
from napari_dip.files.provenance import KEY

HUGE = "9" * 400
DEEP = 900  # levels of a nested text
ESCAPE = "\x1b]0;title\x07\x1b[31m\x9b2Jred\u202e"


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes
    ----------
    name : str
        Its kind and what was done to it.
    make : callable
        Is given an empty folder, writes into it, and returns the words of a command line; the
        output of the command, where it has one, is ``out.tif`` in that folder.
    truth : array, optional
        The pixels that were there before the damage. Who reads the file reads them all, or refuses.
    refused : bool
        Whether only a refusal is right.
    """

    name: str
    make: Callable[[Path], list[str]]
    truth: np.ndarray | None = None
    refused: bool = False


def all_cases() -> Iterator[Case]:
    """Yield every input, always the same ones in the same order."""
    for kind in (_tiffs, _tags, _ome, _pictures, _zarrs, _records, _models, _texts, _no_files):
        yield from kind()


def pixels(*shape: int, dtype: str = "uint16") -> np.ndarray:
    """Return a noisy image with an edge in every plane."""
    rng = np.random.default_rng(len(shape) * 100 + shape[0])
    level = np.where(np.arange(shape[-1]) < shape[-1] // 2, 60, 120)
    return rng.poisson(level, shape).astype(dtype)


def denoise(path: Path, *more: str) -> list[str]:
    """Return the command line that denoises a file in two steps."""
    out = path.parent / "out.tif"
    return ["denoise", str(path), "-o", str(out), "--device", "cpu", *(more or ("--steps", "2"))]


def _write_tiff(path: Path, dialect: str) -> np.ndarray:
    """Write one of the dialects of TIFF, and return its pixels."""
    stack = pixels(3, 26, 24)
    if dialect == "imagej" or dialect == "ome":
        write(path, Image(stack, "ZYX"))
    elif dialect == "plain":
        with tifffile.TiffWriter(path) as writer:
            for plane in stack:
                writer.write(plane, contiguous=False, metadata=None, rowsperstrip=7)
    elif dialect == "shaped":
        tifffile.imwrite(path, stack, photometric="minisblack")
    elif dialect == "big":
        tifffile.imwrite(path, stack, bigtiff=True, photometric="minisblack", metadata=None)
    elif dialect == "tiles":
        with tifffile.TiffWriter(path) as writer:
            options = {"tile": (16, 16), "compression": "zlib", "photometric": "minisblack"}
            for plane in stack:
                writer.write(plane, contiguous=False, metadata=None, **options)
    else:
        assert dialect == "colour", dialect
        stack = pixels(26, 24, 3, dtype="uint8")
        tifffile.imwrite(path, stack, photometric="rgb", metadata=None)
    return stack


DIALECTS = ("imagej", "ome", "plain", "shaped", "big", "tiles", "colour")


def _tiff(name: str, dialect: str, damage: Callable[[bytes], bytes], **more: Any) -> Case:
    suffix = ".ome.tif" if dialect == "ome" else ".tif"

    def make(folder: Path) -> list[str]:
        path = folder / f"a{suffix}"
        _write_tiff(path, dialect)
        path.write_bytes(damage(path.read_bytes()))
        return denoise(path)

    truth = pixels(26, 24, 3, dtype="uint8") if dialect == "colour" else pixels(3, 26, 24)
    return Case(f"tiff: {dialect}, {name}", make, **{"truth": truth, **more})


def _tiffs() -> Iterator[Case]:
    for dialect in DIALECTS:
        for part in (0.001, 0.01, 0.1, 0.4, 0.7, 0.9, 0.99):
            yield _tiff(f"cut to {part:.1%}", dialect, lambda d, part=part: d[: int(len(d) * part)])
        for seed in range(4):
            yield _tiff(
                f"30 bytes of the first 600 changed, {seed}",
                dialect,
                lambda data, seed=seed: _changed(data, 600, 30, seed),
                truth=None,
            )
        yield _tiff("the head of another", dialect, lambda d: b"MM\x00*" + d[4:], refused=True)
        yield _tiff("zeros from the middle on", dialect, _half_zero, truth=None)


def _changed(data: bytes, among: int, count: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    out = bytearray(data)
    for at in rng.integers(4, min(among, len(out)), count):
        out[at] = rng.integers(256)
    return bytes(out)


def _half_zero(data: bytes) -> bytes:
    half = len(data) // 2
    return data[:half] + bytes(len(data) - half)


TAGS = {
    "ImageWidth": 256,
    "ImageLength": 257,
    "BitsPerSample": 258,
    "Compression": 259,
    "PhotometricInterpretation": 262,
    "StripOffsets": 273,
    "SamplesPerPixel": 277,
    "RowsPerStrip": 278,
    "StripByteCounts": 279,
    "SampleFormat": 339,
}


def _with_tag(data: bytes, page: int, code: int, value: int, count: int | None = None) -> bytes:
    """Change a tag's value (its first one, where it has several), or how many values it has."""
    out = bytearray(data)
    offset = int.from_bytes(out[4:8], "little")
    for _ in range(page):
        length = int.from_bytes(out[offset : offset + 2], "little")
        offset = int.from_bytes(out[offset + 2 + 12 * length :][:4], "little")
    for at in range(int.from_bytes(out[offset : offset + 2], "little")):
        entry = offset + 2 + 12 * at
        if int.from_bytes(out[entry : entry + 2], "little") != code:
            continue
        kind, old = struct.unpack_from("<HI", out, entry + 2)
        size = {3: 2, 4: 4}.get(kind, 4)
        if count is not None:
            struct.pack_into("<I", out, entry + 4, count)
            continue
        where = entry + 8
        if old * size > 4:
            where = int.from_bytes(out[entry + 8 : entry + 12], "little")
        out[where : where + size] = (value % 256**size).to_bytes(size, "little")
    return bytes(out)


def _with_next(data: bytes, page: int, value: Callable[[bytes, int], int]) -> bytes:
    """Change where the page after `page` is said to begin."""
    out = bytearray(data)
    offset = int.from_bytes(out[4:8], "little")
    for _ in range(page):
        length = int.from_bytes(out[offset : offset + 2], "little")
        offset = int.from_bytes(out[offset + 2 + 12 * length :][:4], "little")
    at = offset + 2 + 12 * int.from_bytes(out[offset : offset + 2], "little")
    out[at : at + 4] = value(data, offset).to_bytes(4, "little")
    return bytes(out)


def _tags() -> Iterator[Case]:
    for dialect in ("plain", "shaped", "imagej"):
        for tag, code in TAGS.items():
            for value in (0, 13, 2**31 + 5):
                page = 2 if dialect == "plain" else 0
                yield _tiff(
                    f"{tag} of page {page} is {value}",
                    dialect,
                    lambda d, code=code, value=value, page=page: _with_tag(d, page, code, value),
                    # The pixels of a tag that says how a number is shown are there all the same.
                    truth=None
                    if tag in ("PhotometricInterpretation", "SampleFormat")
                    else pixels(3, 26, 24),
                )
        yield _tiff("no strips", dialect, lambda d: _with_tag(d, 0, 273, 0, count=0))
        yield _tiff("a million strips", dialect, lambda d: _with_tag(d, 0, 279, 0, count=10**6))
    nexts = {
        "nowhere": lambda d, at: len(d) + 1000,
        "itself": lambda d, at: at,
        "the first": lambda d, at: int.from_bytes(d[4:8], "little"),
        "the pixels": lambda d, at: 8,
    }
    for name, value in nexts.items():
        for dialect in ("plain", "shaped"):
            yield _tiff(
                f"the page after the second is {name}",
                dialect,
                lambda d, value=value: _with_next(d, 1, value),
                refused=dialect == "plain",
            )


OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0" Name="{name}">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="{kind}" SizeX="24" SizeY="26" SizeC="{c}" '
    'SizeZ="{z}" SizeT="{t}" PhysicalSizeX="{size}" PhysicalSizeXUnit="{unit}">'
    '<Channel ID="Channel:0:0" Name="{channel}"/>{data}</Pixels></Image></OME>'
)
OME_FINE = {
    "name": "a",
    "kind": "uint16",
    "c": "1",
    "z": "3",
    "t": "1",
    "size": "0.1",
    "unit": "um",
    "channel": "one",
    "data": "<TiffData/>",
}
OME_HOSTILE: dict[str, dict[str, str]] = {
    "a size of 400 digits": {"size": HUGE},
    "a size without end": {"size": "inf"},
    "a size of no number": {"size": "nan"},
    "a negative size": {"size": "-1"},
    "2 planes of 3": {"z": "2"},
    "2 times of 3 planes": {"t": "2", "z": "1"},
    "9 planes of 3": {"z": "9"},
    "0 planes": {"z": "0"},
    "-3 planes": {"z": "-3"},
    "400 digits of planes": {"z": HUGE},
    "planes of no number": {"z": "many"},
    "a billion planes": {"z": "1000000000"},
    "an unknown type": {"kind": "quaternion"},
    "another type": {"kind": "float"},
    "control characters": {"name": "&#27;[31m", "channel": "&#x9b;2J&#x202e;x"},
    "a long name": {"name": "n" * 10**6},
    "a unit of control characters": {"unit": "&#x9b;31m"},
    "no data": {"data": ""},
    "a file that is not there": {
        "data": '<TiffData IFD="0"><UUID FileName="b.ome.tif">urn:uuid:1</UUID></TiffData>'
    },
    "a file outside": {
        "data": '<TiffData IFD="0"><UUID FileName="../../../etc/passwd">urn:uuid:1</UUID>'
        "</TiffData>"
    },
    "a page that is not there": {"data": '<TiffData IFD="7" PlaneCount="3"/>'},
    "pages of 400 digits": {"data": f'<TiffData IFD="{HUGE}" PlaneCount="3"/>'},
    "a page twice": {"data": '<TiffData IFD="0" FirstZ="0"/><TiffData IFD="0" FirstZ="1"/>'},
    "a text without end": {"data": "<TiffData>" + "<a>" * DEEP},
}


def _ome() -> Iterator[Case]:
    def case(name: str, xml: str, **more: Any) -> Case:
        def make(folder: Path) -> list[str]:
            path = folder / "a.ome.tif"
            with tifffile.TiffWriter(path) as writer:
                for number, plane in enumerate(pixels(3, 26, 24)):
                    text = xml.encode("ascii", "xmlcharrefreplace") if number == 0 else None
                    writer.write(plane, contiguous=False, metadata=None, description=text)
            return denoise(path)

        return Case(f"ome: {name}", make, **{"truth": pixels(3, 26, 24), **more})

    yield case("as it should be", OME.format(**OME_FINE))
    for name, change in OME_HOSTILE.items():
        yield case(name, OME.format(**{**OME_FINE, **change}))
    entities = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9)
    )
    yield case("a billion laughs", entities + "]>" + OME.format(**{**OME_FINE, "name": "&j;"}))
    yield case("900 levels", OME.format(**{**OME_FINE, "data": "<a>" * DEEP + "</a>" * DEEP}))
    yield case("cut in the middle", OME.format(**OME_FINE)[:200])
    yield from _imagej()


def _imagej() -> Iterator[Case]:
    def case(name: str, description: str, *, pages: int = 3) -> Case:
        def make(folder: Path) -> list[str]:
            with tifffile.TiffWriter(folder / "a.tif") as writer:
                for number, plane in enumerate(pixels(3, 26, 24)[:pages]):
                    text = description if number == 0 else None
                    writer.write(plane, contiguous=False, metadata=None, description=text)
            return denoise(folder / "a.tif")

        return Case(f"imagej: {name}", make, truth=pixels(3, 26, 24))

    head = "ImageJ=1.53t\nimages=3\nslices=3\n"
    yield case("a spacing of 400 digits", f"{head}spacing={HUGE}\n")
    yield case("a spacing without end", f"{head}spacing=inf\nfinterval=1e999\n")
    yield case("400 digits of images", f"ImageJ=1.53t\nimages={HUGE}\nslices={HUGE}\n")
    yield case("-3 images", "ImageJ=1.53t\nimages=-3\nslices=-3\n")
    yield case("0 images", "ImageJ=1.53t\nimages=0\nslices=0\n")
    yield case("2 of 3 images", "ImageJ=1.53t\nimages=2\nslices=2\n")
    yield case("9 of 3 images", "ImageJ=1.53t\nimages=9\nslices=9\n")
    yield case("3 images of which 2 are there", head, pages=2)
    yield case("slices and frames that do not fit", "ImageJ=1.53t\nimages=3\nslices=2\nframes=2\n")
    yield case("a unit of control characters", f"{head}unit=\\u001b[31m\nspacing=2\n")


def _picture(name: str, content: Callable[[], bytes], suffix: str = ".png", **more: Any) -> Case:
    def make(folder: Path) -> list[str]:
        path = folder / f"a{suffix}"
        path.write_bytes(content())
        return denoise(path)

    return Case(f"picture: {name}", make, **more)


def _png(
    width: int, height: int, rows: bytes, texts: tuple[tuple[bytes, bytes], ...] = ()
) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *(chunk(kind, data) for kind, data in texts)]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _pictures() -> Iterator[Case]:
    plane = pixels(26, 24, dtype="uint8")
    rows = b"".join(b"\0" + row.tobytes() for row in plane)
    fine = _png(24, 26, rows)
    yield _picture("as it should be", lambda: fine, truth=plane)
    for part in (0.02, 0.3, 0.6, 0.9, 0.97):
        yield _picture(
            f"cut to {part:.0%}", lambda part=part: fine[: int(len(fine) * part)], truth=plane
        )
    for seed in range(6):
        yield _picture(
            f"10 bytes changed, {seed}",
            lambda s=seed: _changed(fine, len(fine), 10, s),
            refused=True,
        )
    yield _picture("0 columns", lambda: _png(0, 26, rows), refused=True)
    yield _picture("2 billion columns", lambda: _png(2**31 - 1, 2**31 - 1, rows), refused=True)
    yield _picture("fewer rows than it says", lambda: _png(24, 40, rows), refused=True)
    record = f'{KEY} = {{"axes": "{ESCAPE}"}}'.encode("latin-1", "replace")
    for name, text in {
        "a record of control characters": record,
        "a record of 900 levels": f"{KEY} = ".encode() + b"[" * DEEP + b"]" * DEEP,
    }.items():
        texts = ((b"tEXt", KEY.encode() + b"\0" + text),)
        yield _picture(name, lambda texts=texts: _png(24, 26, rows, texts), truth=plane)
    bomb = KEY.encode() + b"\0\0" + zlib.compress(bytes(1 << 28))
    yield _picture("a text of 256 MB", lambda: _png(24, 26, rows, ((b"zTXt", bomb),)))
    from io import BytesIO

    import PIL.Image

    stream = BytesIO()
    PIL.Image.fromarray(plane).save(stream, "JPEG")
    jpeg = stream.getvalue()
    for part in (0.1, 0.6, 0.95):
        yield _picture(
            f"JPEG cut to {part:.0%}",
            lambda p=part: jpeg[: int(len(jpeg) * p)],
            ".jpg",
            refused=True,
        )


def _zarr(name: str, damage: Callable[[Path], object], *, version: int = 2, **more: Any) -> Case:
    def make(folder: Path) -> list[str]:
        import zarr

        path = folder / "a.zarr"
        if version == 2:
            write(path, Image(pixels(3, 26, 24), "ZYX"), dtype="same")
        else:
            group = zarr.open_group(str(path), mode="w", zarr_format=3)
            array = group.create_array("0", shape=(3, 26, 24), chunks=(1, 26, 24), dtype="uint16")
            array[:] = pixels(3, 26, 24)
            axes = [{"name": a, "type": "space"} for a in "zyx"]
            level = {
                "path": "0",
                "coordinateTransformations": [{"type": "scale", "scale": [1] * 3}],
            }
            scales = [{"axes": axes, "datasets": [level], "name": "a"}]
            group.attrs["ome"] = {"version": "0.5", "multiscales": scales}
        damage(path)
        return denoise(path)

    label = f"zarr {version}: {name}"
    return Case(label, make, **{"truth": pixels(3, 26, 24), **more})


def _edit(change: Callable[[dict[str, Any]], object], name: str = "0/.zarray") -> Any:
    def damage(path: Path) -> None:
        file = path / name
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return damage


def _chunk(path: Path) -> Path:
    """Return the file of the chunk in the middle."""
    files = sorted(
        f
        for f in (path / "0").rglob("*")
        if f.is_file() and f.name not in (".zarray", ".zattrs", "zarr.json")
    )
    return files[len(files) // 2]


def _instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        chunk = _chunk(path)
        chunk.unlink()
        make(chunk)

    return damage


def _zarrs() -> Iterator[Case]:
    for version in (2, 3):
        yield _zarr("as it should be", lambda path: None, version=version)
        chunks: dict[str, Callable[[Path], object]] = {
            "is a FIFO": os.mkfifo,
            "is a link to /dev/zero": lambda c: c.symlink_to("/dev/zero"),
            "is a link to /dev/urandom": lambda c: c.symlink_to("/dev/urandom"),
            "is a link to a file outside": lambda c: c.symlink_to("/etc/passwd"),
            "is a link to itself": lambda c: c.symlink_to(c.name),
            "is a folder": lambda c: c.mkdir(),
            "is empty": lambda c: c.touch(),
            "is noise": lambda c: c.write_bytes(np.random.default_rng(0).bytes(3000)),
        }
        for name, make in chunks.items():
            yield _zarr(f"a chunk {name}", _instead(make), version=version, refused=True)
        yield _zarr(
            "a chunk is missing", lambda path: _chunk(path).unlink(), version=version, truth=None
        )
        yield _zarr("a chunk is cut", lambda path: _cut(_chunk(path)), version=version)
    arrays: dict[str, dict[str, Any]] = {
        "zero chunks": {"chunks": [0, 0, 0]},
        "negative chunks": {"chunks": [-1, 26, 24]},
        "chunks of 400 digits": {"chunks": [int(HUGE), 26, 24]},
        "chunks of a billion": {"chunks": [1, 10**9, 10**9]},
        "two chunk sizes of three": {"chunks": [1, 26]},
        "a shape of 400 digits": {"shape": [int(HUGE), 26, 24]},
        "a shape of a billion planes": {"shape": [10**9, 26, 24]},
        "a negative shape": {"shape": [-3, 26, 24]},
        "no shape": {"shape": []},
        "objects": {"dtype": "|O", "filters": [{"id": "pickle"}]},
        "a codec that runs code": {"filters": [{"id": "pickle", "protocol": 5}]},
        "an unknown codec": {"compressor": {"id": "fuzz"}},
        "complex numbers": {"dtype": "<c8"},
        "texts": {"dtype": "<U4"},
        "a level of 400 digits": {"compressor": {"id": "zstd", "level": int(HUGE)}},
        "a fill value without end": {"fill_value": "Infinity"},
        "another version": {"zarr_format": 7},
        "an unknown order": {"order": "Q"},
    }
    for name, change in arrays.items():
        yield _zarr(
            name,
            _edit(lambda c, change=change: c.update(change)),
            refused=name != "a fill value without end",
        )
    attributes: dict[str, Any] = {
        "900 levels of attributes": "[" * DEEP + "]" * DEEP,
        "100000 levels of attributes": "[" * 100_000,
        "attributes that are a list": "[1, 2]",
        "attributes cut short": '{"multiscales": [',
        "attributes of control characters": json.dumps({"multiscales": ESCAPE}),
    }
    for name, text in attributes.items():
        yield _zarr(name, lambda path, t=text: (path / ".zattrs").write_text(t), refused=True)

    def scales(change: Callable[[dict[str, Any]], object]) -> Any:
        return _edit(lambda content: change(content["multiscales"][0]), ".zattrs")

    yield _zarr(
        "a scale without end",
        scales(
            lambda m: m["datasets"][0].update(
                coordinateTransformations=[{"type": "scale", "scale": [float("inf"), 1e400, 1]}]
            )
        ),
    )
    yield _zarr(
        "a scale of 400 digits",
        scales(
            lambda m: m["datasets"][0].update(
                coordinateTransformations=[{"type": "scale", "scale": [int(HUGE), 1, 1]}]
            )
        ),
    )
    yield _zarr(
        "a scale of one number",
        scales(
            lambda m: m["datasets"][0].update(
                coordinateTransformations=[{"type": "scale", "scale": [1]}]
            )
        ),
        truth=None,
    )
    yield _zarr(
        "a path that leads out",
        scales(lambda m: m["datasets"][0].update(path="../../../../../../etc")),
        refused=True,
    )
    yield _zarr(
        "axes twice",
        scales(lambda m: m.update(axes=[{"name": "y"}, {"name": "y"}, {"name": "x"}])),
        refused=True,
    )
    yield _zarr(
        "axes of control characters",
        scales(lambda m: m["axes"][0].update(name=ESCAPE)),
        refused=True,
    )
    yield _zarr(
        "a billion axes", scales(lambda m: m.update(axes=[{"name": "x"}] * 10**5)), refused=True
    )


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _records() -> Iterator[Case]:
    fine: dict[str, Any] = {
        "axes": "ZYX",
        "shape": [3, 26, 24],
        "scale": [1, 1, 1],
        "units": ["um"] * 3,
        "written": {},
        "provenance": {},
    }
    changes: dict[str, dict[str, Any]] = {
        "sizes without end": {"scale": [float("inf")] * 3},
        "sizes that are no number": {"scale": [float("nan")] * 3},
        "a shape of 400 digits": {"shape": [int(HUGE), 26, 24]},
        "a shape without end": {"shape": [float("inf"), 26, 24]},
        "calibration of 400 digits": {"written": {"X": [int(HUGE), "um"]}},
        "calibration without end": {"written": {"X": [float("inf"), "um"]}},
        "control characters": {
            "provenance": {ESCAPE: ESCAPE, "settings": {"method": ESCAPE}, "device": ESCAPE}
        },
        "hostile provenance": {
            "provenance": {
                "source": HUGE,
                "settings": 7,
                "steps_chosen": [int(HUGE)],
                "noise": [[]],
            }
        },
        "numbers of 400 digits": {
            "provenance": {
                "noise": {"gain": int(HUGE), "variance": int(HUGE)},
                "correlation": [[int(HUGE)] * 5] * 5,
            }
        },
        "infinities": {"provenance": {"noise": {"gain": float("inf"), "variance": float("nan")}}},
        "units of control characters": {"units": [ESCAPE] * 3},
        "other axes": {"axes": "ZZY"},
        "as it should be": {},
    }
    texts = {name: json.dumps({**fine, **change}) for name, change in changes.items()}
    texts["900 levels"] = "[" * DEEP + "]" * DEEP
    texts["900 levels of provenance"] = json.dumps(fine)[:-3] + (
        '{"a":' * DEEP + "1" + "}" * DEEP + "}"
    )
    for name, text in texts.items():
        for verb in ("denoise", "info"):

            def make(folder: Path, text: str = text, verb: str = verb) -> list[str]:
                metadata = {"axes": "ZYX", "Info": f"{KEY} = {text}"}
                tifffile.imwrite(
                    folder / "a.tif", pixels(3, 26, 24), imagej=True, metadata=metadata
                )
                return (
                    denoise(folder / "a.tif")
                    if verb == "denoise"
                    else ["info", str(folder / "a.tif")]
                )

            yield Case(
                f"record: {name}, {verb}",
                make,
                truth=pixels(3, 26, 24) if verb == "denoise" else None,
            )


def _save_model(path: Path) -> None:
    """Write a small model with random weights."""
    from napari_dip import IDDP
    from napari_dip.models.model import Model, build

    settings = IDDP(channels=4, depth=1, filter_channels=4, filter_layers=1)
    statistics = {
        "intensity": [0, 90, 300],
        "contrast": [1, 9],
        "gain": [1, 1],
        "variance": [0, 1],
        "noise_is_correlated": False,
    }
    Model(build(settings, 1), settings, 1, statistics, {"steps": 1}).save(path)


def _model(
    name: str, damage: Callable[[bytes], bytes], *, verb: str = "denoise", **more: Any
) -> Case:
    def make(folder: Path) -> list[str]:
        model = folder / "m.safetensors"
        _save_model(model)
        model.write_bytes(damage(model.read_bytes()))
        tifffile.imwrite(folder / "a.tif", pixels(26, 24))
        if verb == "info":
            return ["info", str(model)]
        return denoise(folder / "a.tif", "--model", str(model))

    return Case(f"model: {name}, {verb}", make, **more)


def _with_record(data: bytes, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> bytes:
    """Change the record and the table of tensors in a model."""
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    record = json.loads(table["__metadata__"][KEY])
    change(record, table)
    table["__metadata__"][KEY] = json.dumps(record)
    header = json.dumps(table).encode()
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def _with_weights(value: float) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        weights = np.frombuffer(data[8 + length :], "<f4").copy()
        weights[len(weights) // 2 :] = value
        return data[: 8 + length] + weights.tobytes()

    return damage


def _models() -> Iterator[Case]:
    yield _model("as it should be", lambda data: data)
    for part in (0.001, 0.1, 0.5, 0.99):
        yield _model(f"cut to {part:.1%}", lambda d, p=part: d[: int(len(d) * p)], refused=True)
    yield _model("longer", lambda data: data + bytes(100), refused=True)
    for length in (0, 2**63, 2**64 - 1, 1 << 23):
        yield _model(
            f"a header of {length} bytes",
            lambda d, n=length: n.to_bytes(8, "little") + d[8:],
            refused=True,
        )
    for value in (float("inf"), float("nan"), 3e38):
        yield _model(f"weights of {value:g}", _with_weights(value), refused=True)
    nested = '{"__metadata__": ' + "[" * 10**5
    yield _model(
        "100000 levels", lambda d: len(nested).to_bytes(8, "little") + nested.encode(), refused=True
    )
    records: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
        "a depth of 99": lambda r, t: r["settings"].update(depth=99),
        "a depth of 400 digits": lambda r, t: r["settings"].update(depth=int(HUGE)),
        "settings without end": lambda r, t: r["settings"].update(learning_rate=float("inf")),
        "a seed of 400 digits": lambda r, t: r["settings"].update(seed=int(HUGE)),
        "an unknown method": lambda r, t: r["settings"].update(method=ESCAPE),
        "an unknown setting": lambda r, t: r["settings"].update({ESCAPE: 1}),
        "a format of 400 digits": lambda r, t: r.update(format=int(HUGE)),
        "channels without end": lambda r, t: r.update(channels=float("inf")),
        "a negative shape": lambda r, t: next(
            v for k, v in t.items() if k != "__metadata__"
        ).update(shape=[-1, 5]),
        "a shape of 400 digits": lambda r, t: next(
            v for k, v in t.items() if k != "__metadata__"
        ).update(shape=[int(HUGE)]),
        "offsets without end": lambda r, t: next(
            v for k, v in t.items() if k != "__metadata__"
        ).update(data_offsets=[0, float("inf")]),
        "a tensor of control characters": lambda r, t: t.update(
            {ESCAPE: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}
        ),
        "holes of 400 digits": lambda r, t: r["network"].update(holes=[0, int(HUGE)]),
    }
    for name, change in records.items():
        yield _model(name, lambda d, c=change: _with_record(d, c), refused=True)
    shown: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
        "statistics without end": lambda r, t: r["statistics"].update(
            intensity=[float("-inf"), 0, float("inf")], gain=[float("inf")] * 2
        ),
        "statistics of 400 digits": lambda r, t: r["statistics"].update(
            intensity=[-int(HUGE), 0, int(HUGE)], contrast=[int(HUGE)] * 2, gain=[int(HUGE)] * 2
        ),
        "statistics of texts": lambda r, t: r["statistics"].update(
            intensity=ESCAPE, contrast={}, gain=[[]], variance=None
        ),
        "no statistics": lambda r, t: r.update(statistics={}),
        "training of control characters": lambda r, t: r.update(
            training={ESCAPE: ESCAPE, "steps": HUGE}, description=ESCAPE, licence=ESCAPE
        ),
        "900 levels of training": lambda r, t: r.update(training=_nested(DEEP)),
    }
    for name, change in shown.items():
        for verb in ("denoise", "info"):
            yield _model(name, lambda d, c=change: _with_record(d, c), verb=verb)


def _nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


def _texts() -> Iterator[Case]:
    def case(name: str, content: bytes | Callable[[Path], object], **more: Any) -> Case:
        def make(folder: Path) -> list[str]:
            config = folder / "s.toml"
            if callable(content):
                content(config)
            else:
                config.write_bytes(content)
            tifffile.imwrite(folder / "a.tif", pixels(26, 24))
            return denoise(folder / "a.tif", "--steps", "2", "--config", str(config))

        return Case(f"toml: {name}", make, **{"refused": True, **more})

    yield case("as it should be", b"seed = 4\n", refused=False)
    yield case("900 levels of lists", b"seed = " + b"[" * DEEP + b"]" * DEEP)
    yield case("100000 levels of lists", b"seed = " + b"[" * 10**5)
    yield case("900 levels of tables", b"a" + b".a" * DEEP + b" = 1")
    yield case("900 levels of inline tables", b"seed = " + b"{a = " * DEEP + b"1" + b"}" * DEEP)
    yield case("a number of 400 digits", f"seed = {HUGE}".encode())
    yield case("a number of 5000 digits", b"seed = " + b"9" * 5000)
    yield case("a rate of 400 digits", f"learning_rate = {HUGE}".encode())
    yield case("a rate without end", b"learning_rate = inf")
    yield case("a rate that is no number", b"learning_rate = nan")
    yield case("a key of control characters", b'"\\u001b[31m\\u009b2J" = 1')
    yield case("a value of control characters", b'preset = "\\u001b[31m\\u009b2J"')
    yield case(
        "a model of control characters", b'model = "\\u001b[31m\\u009b2J\\u202e"', refused=False
    )
    yield case("raw control characters", b'device = "\x1b[31m"')
    yield case("bytes that are no text", b'device = "\xff\xfe"')
    yield case("a zero byte", b"seed = 1\0")
    yield case("a key twice", b"seed = 1\nseed = 2\n")
    yield case("5 MB", b"# " + b"x" * 5_000_000 + b"\nnothing = 1")
    yield case("a date", b"seed = 2024-01-01")
    yield case("a FIFO", os.mkfifo)
    yield case("a folder", lambda path: path.mkdir())
    yield case("a link to itself", lambda path: path.symlink_to(path.name))
    yield case("a link to /dev/zero", lambda path: path.symlink_to("/dev/zero"))


def _no_files() -> Iterator[Case]:
    """Yield names that are no plain files, and plain files with odd names."""
    makes: dict[str, Callable[[Path], object]] = {
        "a FIFO": os.mkfifo,
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("nothing"),
        "an empty folder": lambda path: path.mkdir(),
        "an empty file": lambda path: path.touch(),
        "text": lambda path: path.write_text("no image at all, only words"),
        "a megabyte of noise": lambda path: path.write_bytes(
            np.random.default_rng(0).bytes(1 << 20)
        ),
    }
    for name, create in makes.items():
        for suffix in (".tif", ".png", ".zarr", ".safetensors"):

            def make(folder: Path, create: Any = create, suffix: str = suffix) -> list[str]:
                path = folder / f"a{suffix}"
                create(path)
                if suffix != ".safetensors":
                    return denoise(path)
                return ["info", str(path)]

            yield Case(f"no file: {name} named {suffix}", make, refused=True)
    for name in ("\x1b[31mred.tif", "a\nb.tif", "=1+1.tif", "a\u202etif", "-a.tif"):

        def odd(folder: Path, name: str = name) -> list[str]:
            (folder / "in").mkdir()
            tifffile.imwrite(folder / "in" / name, pixels(26, 24))
            return [
                "denoise",
                str(folder / "in"),
                "-o",
                str(folder / "out"),
                "--steps",
                "2",
                "--device",
                "cpu",
            ]

        yield Case(f"name: {name!a}", odd)
