"""Small files in the formats of microscopes' makers, written as their readers expect them."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path

import numpy as np
import tifffile


def pixels(*lengths: int, height: int = 12, width: int = 16) -> np.ndarray:
    """Return planes of which each has a value of its own at each place."""
    count = int(np.prod(lengths, dtype=int))
    planes = (
        np.arange(height * width).reshape(height, width) + 200 * np.arange(count)[:, None, None]
    )
    return planes.reshape(*lengths, height, width).astype(np.uint16)


def write_czi(path: Path, scenes: list[np.ndarray], compression: str | None = None) -> None:
    """Write scenes TZCYX side by side."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for number, scene in enumerate(scenes):
            for t, z, c in np.ndindex(scene.shape[:3]):
                file.write(
                    scene[t, z, c][..., None],
                    plane={"T": t, "Z": z, "C": c},
                    scene=number,
                    location=(1000 * number, 0),
                    compression_options=compression,
                )
        names = {0: "DAPI", 1: "GFP"}
        file.write_metadata("x", names, scale_x=1e-7, scale_y=2e-7, scale_z=5e-7)


def write_lif(path: Path, images: dict[str, np.ndarray]) -> None:
    """Write images TZCYX."""
    elements, blocks = [], []
    for number, (name, image) in enumerate(images.items()):
        count, depth, colours, height, width = image.shape
        step = image.itemsize
        plane = step * width * height
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" '
            f'NameOfMeasuredQuantity="" Min="0" Max="65535" Unit="" LUTName="{lut}" '
            f'IsLUTInverted="0" BytesInc="{plane * c}" BitInc="0"/>'
            for c, lut in enumerate(("Green", "Red")[:colours])
        )
        # identifier, count, length from first to last, its unit, bytes from one to the next
        lengths = [
            (1, width, 1e-7 * (width - 1), "m", step),
            (2, height, 2e-7 * (height - 1), "m", step * width),
            (3, depth, 5e-7 * (depth - 1), "m", plane * colours),
            (4, count, 1.5 * (count - 1), "s", plane * colours * depth),
        ]
        dimensions = "".join(
            f'<DimensionDescription DimID="{key}" NumberOfElements="{n}" Origin="0" '
            f'Length="{length}" Unit="{unit}" BitInc="0" BytesInc="{inc}"/>'
            for key, n, length, unit, inc in lengths
            if n > 1
        )
        elements.append(
            f'<Element Name="{name}" UniqueID="{uuid.uuid4()}"><Data><Image><ImageDescription>'
            f"<Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>"
            f"</ImageDescription></Image></Data>"
            f'<Memory Size="{image.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
        )
        label = f"MemBlock_{number}".encode("utf-16-le")
        head = struct.pack(
            "<IIBQBI", 0x70, len(label) + 14, 0x2A, image.nbytes, 0x2A, len(label) // 2
        )
        blocks.append(head + label + image.tobytes())
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="x"><Children>'
        f"{''.join(elements)}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    head = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2)
    path.write_bytes(head + xml + b"".join(blocks))


def write_oif(path: Path, image: np.ndarray) -> None:
    """Write an image CZTYX: a text, and a folder of TIFFs beside it."""
    folder = path.with_name(path.name + ".files")
    folder.mkdir()
    for c, z, t in np.ndindex(image.shape[:3]):
        name = f"s_C{c + 1:03}Z{z + 1:03}T{t + 1:03}.tif"
        tifffile.imwrite(folder / name, image[c, z, t])
    colours, depth, count, height, width = image.shape
    axes = [
        ("X", width, 0, 0, "um"),
        ("Y", height, 0, 0, "um"),
        ("C", colours, 0, 0, "Ch"),
        ("Z", depth, 0, 500 * (depth - 1), "nm"),
        ("T", count, 0, 1500 * (count - 1), "ms"),
    ]
    lines = [
        "[ProfileSaveInfo]",
        'Name="x"',
        'Version="1"',
        "[Axis Parameter Common]",
        'AxisOrder="XYCZT"',
    ]
    for number, (code, size, start, end, unit) in enumerate(axes):
        lines += [f"[Axis {number} Parameters Common]", f'AxisCode="{code}"', f"MaxSize={size}"]
        lines += [f"StartPosition={start}", f"EndPosition={end}", f'UnitName="{unit}"']
    lines += ["[Reference Image Parameter]", "ValidBitCounts=16"]
    for side, size in (("Width", 0.1), ("Height", 0.2)):
        lines += [f"{side}ConvertValue={size}", f'{side}Unit="um"']
    for number, dye in enumerate(("DAPI", "GFP"), 1):
        lines += [f"[GUI Channel {number} Parameters]", f'DyeName="{dye}"']
        lines += [f"EmissionWavelength={400 + 50 * number}"]
    path.write_bytes(b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le"))


def write_dv(path: Path, image: np.ndarray) -> None:
    """Write an image CTZYX."""
    count, times, depth, height, width = image.shape
    head = bytearray(1024)
    struct.pack_into("<4i", head, 0, width, height, count * times * depth, 6)
    struct.pack_into("<3f", head, 40, 0.1, 0.2, 0.5)
    struct.pack_into("<3i", head, 64, 1, 2, 3)
    struct.pack_into("<h", head, 96, -16224)
    struct.pack_into("<h", head, 180, times)
    struct.pack_into("<h", head, 182, 0)  # Z runs fastest, then T, then C
    struct.pack_into("<6h", head, 196, count, 450, 525, 0, 0, 0)
    path.write_bytes(bytes(head) + image.tobytes())


def write_ims(path: Path, image: np.ndarray) -> None:
    """Write an image TCZYX, in arrays that are larger than it, as Imaris does."""
    import h5py

    def letters(text: object) -> np.ndarray:
        return np.frombuffer(str(text).encode(), "S1")

    count, colours, depth, height, width = image.shape
    with h5py.File(path, "w") as file:
        for t, c in np.ndindex(count, colours):
            padded = np.zeros((depth, height + 4, width + 16), np.uint16)
            padded[:, :height, :width] = image[t, c]
            name = f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel {c}/Data"
            file.create_dataset(
                name, data=padded, chunks=(1, height // 4, width // 4), compression="gzip"
            )
        info = file.create_group("DataSetInfo/Image").attrs
        for number, (axis, n, size) in enumerate(
            (("X", width, 0.1), ("Y", height, 0.2), ("Z", depth, 0.5))
        ):
            info[axis] = letters(n)
            info[f"ExtMin{number}"], info[f"ExtMax{number}"] = letters(0), letters(n * size)
        info["Unit"] = letters("um")
        for c, (name, colour) in enumerate((("DAPI", "0 0 1"), ("GFP", "0 1 0"))):
            about = file.create_group(f"DataSetInfo/Channel {c}").attrs
            about["Name"], about["Color"] = letters(name), letters(colour)
            about["ColorRange"] = letters("5 900")
        times = file.create_group("DataSetInfo/TimeInfo").attrs
        for t in range(count):
            times[f"TimePoint{t + 1}"] = letters(f"2024-05-01 12:00:{1.5 * t:06.3f}")


def write_nd2(path: Path, positions: np.ndarray) -> None:
    """Write an image TPCYX: times, positions of the stage, channels."""
    count, places, colours, height, width = positions.shape
    attributes = _level(
        "SLxImageAttributes",
        uiWidth=width,
        uiWidthBytes=2 * width * colours,
        uiHeight=height,
        uiComp=colours,
        uiBpcInMemory=16,
        uiBpcSignificant=16,
        uiSequenceCount=count * places,
        eCompression=2,
    )
    planes = {
        f"a{c}": {
            "sDescription": ("DAPI", "GFP")[c],
            "uiColor": (0xFF0000, 0x00FF00)[c],  # blue, green, red
            "uiCompCount": 1,
            "uiSampleIndex": c,
            "pFluorescentProbe": {
                "m_ExcitationSpectrum": _peak(405.0),
                "m_EmissionSpectrum": _peak(450.0 + 75.0 * c),
            },
        }
        for c in range(colours)
    }
    picture = _level(
        "SLxPictureMetadata",
        bCalibrated=True,
        dCalibration=0.1,
        dXPos=3.0,
        sPicturePlanes={"uiCount": colours, "sPlaneNew": planes},
    )
    points = {
        f"i{n:010}": {"dPosX": 100.0 * n, "dPosY": 7.0, "dPosZ": 0.0, "dPosName": f"well {n}"}
        for n in range(places)
    }
    inner = {
        "eType": 2,
        "uLoopPars": {"uiCount": places, "Points": points, "bUseZ": True},
    }
    experiment = _level(
        "SLxExperiment",
        eType=1,
        uLoopPars={
            "uiCount": count,
            "dStart": 0.0,
            "dPeriod": 1500.0,
            "dDuration": 1500.0 * count,
        },
        ppNextLevelEx={"i0000000000": inner},
    )
    chunks = {
        b"ImageAttributesLV!": attributes,
        b"ImageMetadataSeqLV|0!": picture,
        b"ImageMetadataLV!": experiment,
        b"CustomData|AcqTimesCache!": np.arange(count * places, dtype="<f8").tobytes(),
    }
    for number, (t, p) in enumerate(np.ndindex(count, places)):
        frame = positions[t, p].transpose(1, 2, 0).tobytes()
        chunks[f"ImageDataSeq|{number}!".encode()] = struct.pack("<d", 0.0) + frame
    content = bytearray(_chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0")))
    places_of: list[bytes] = []
    for name, data in chunks.items():
        places_of.append(name + struct.pack("<QQ", len(content), len(data)))
        # The pixels of a frame lie 4096 bytes after its start.
        content += _chunk(name.ljust(4072, b"\0") if name.startswith(b"ImageData") else name, data)
    signature = b"ND2 CHUNK MAP SIGNATURE 0000001!"
    start = len(content)
    listed = b"".join(places_of) + signature + struct.pack("<Q", start)
    content += _chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", listed)
    path.write_bytes(bytes(content))


def _peak(wavelength: float) -> dict[str, object]:
    point = {"eType": 1, "dTValue": 1.0, "dWavelength": wavelength}
    return {"uiCount": 1, "pPoint": {"Point0": point}}


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<IIQ", 0x0ABECEDA, len(name), len(data)) + name + data


def _level(name: str, **items: object) -> bytes:
    """Return a group of named values as ND2 stores it."""

    def header(kind: int, text: str) -> bytes:
        return struct.pack("<BB", kind, len(text) + 1) + (text + "\0").encode("utf-16-le")

    body = b""
    for key, value in items.items():
        if isinstance(value, bool):
            body += header(1, key) + struct.pack("<B", value)
        elif isinstance(value, int):
            body += header(3, key) + struct.pack("<I", value)
        elif isinstance(value, float):
            body += header(6, key) + struct.pack("<d", value)
        elif isinstance(value, str):
            body += header(8, key) + (value + "\0").encode("utf-16-le")
        else:
            body += _level(key, **value)  # type: ignore[arg-type]
    head = header(11, name)
    return (
        head
        + struct.pack("<IQ", len(items), len(head) + 12 + len(body))
        + body
        + bytes(8 * len(items))
    )


def write_lsm(path: Path, image: np.ndarray, compression: str | None = None, **about: int) -> None:
    """Write an image TZCYX, of one channel or three and more; a thumbnail follows each page."""
    info = np.zeros(1, np.dtype(tifffile.TIFF.CZ_LSMINFO))
    sizes = dict(zip(("Time", "Z", "Channels", "Y", "X"), image.shape, strict=True))
    values = {f"Dimension{axis}": n for axis, n in sizes.items()}
    values |= {"MagicNumber": 67127628, "StructureSize": info.itemsize, "TimeIntervall": 1.5}
    values |= {"VoxelSizeX": 1e-7, "VoxelSizeY": 2e-7, "VoxelSizeZ": 5e-7, "ScanType": 6, **about}
    for name, value in values.items():
        info[name] = value
    tag = (34412, "B", info.nbytes, info.tobytes(), True)
    colours = image.shape[2]
    planar = {"planarconfig": "separate"} if colours > 1 else {}
    with tifffile.TiffWriter(path, byteorder="<") as file:
        for number, (t, z) in enumerate(np.ndindex(image.shape[:2])):
            page = image[t, z] if colours > 1 else image[t, z, 0]
            tags = [tag] if number == 0 else []
            common = {"photometric": "minisblack", "metadata": None, **planar}
            common |= {"compression": compression}
            file.write(page, extratags=tags, **common)
            file.write(np.zeros_like(page[..., :8, :8]), subfiletype=1, **common)


def write_stk(path: Path, image: np.ndarray, along: str = "Z") -> None:
    """Write an image of planes along Z or T: one page, and the others behind it."""
    count, height, width = image.shape
    strings = b"um\0"
    after = 8 + image.nbytes
    extra, tags = bytearray(), []
    for key, fraction in ((4, (1, 10)), (5, (2, 10))):  # sizes along x and y
        tags.append((key, after + len(extra)))
        extra += struct.pack("<2I", *fraction)
    tags.append((6, after + len(extra)))  # the unit
    extra += struct.pack("<I", len(strings)) + strings + b"\0"
    uic1 = after + len(extra)
    extra += b"".join(struct.pack("<2I", *tag) for tag in tags)
    uic2 = after + len(extra)
    for n in range(count):
        distance = (1, 2) if along == "Z" else (0, 1)
        extra += struct.pack("<6I", *distance, 2460000, 1500 * n, 0, 0)
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 3, 1, height),
        (279, 4, 1, height * width * 2),
        (33628, 4, len(tags), uic1),
        (33629, 5, count, uic2),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    head = struct.pack("<2sHI", b"II", 42, after + len(extra))
    path.write_bytes(head + image.astype("<u2").tobytes() + bytes(extra) + directory)
