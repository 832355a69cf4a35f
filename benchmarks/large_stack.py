"""A stack larger than memory through the command line: peak memory, and whether the answer is right.

python benchmarks/large_stack.py --gigabytes 6 --folder /a/folder/with/room
A small model is trained on a few planes; `napari-dip denoise` runs as a process of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import tifffile
from common import machine, save
from scipy import ndimage

from napari_dip import IDDP, Image, denoise, load_model, read, train
from napari_dip.planes.image_statistics import measure_image

PLANE = 1024
DEPTH, CHANNELS = 5, 2  # of a volume; as many volumes as make up the size
SCALE = {"T": 2.5, "Z": 0.4, "C": 1.0, "Y": 0.11, "X": 0.11}
SETTINGS = IDDP(steps=60, channels=4, depth=1, start="blur", orientations=1, crop=64)


def plane(number: int, channel: int) -> np.ndarray:
    """Draw one plane, uint16 with Poisson noise: blobs, and a patch in the corner whose level tells its number."""
    random = np.random.default_rng(number)
    clean = 40 + 260 * (BLOBS[channel][number % len(BLOBS[channel])] ** 2)
    clean[:32, :32] = 30 + number * 61 % 401  # neighbours differ by far
    return (100 + 2.0 * random.poisson(clean)).astype(np.uint16)


def blobs(seed: int) -> list[np.ndarray]:
    """Draw a few smooth pictures in [0, 1]."""
    random = np.random.default_rng(seed)
    drawn = [
        ndimage.gaussian_filter(random.normal(size=(PLANE, PLANE)), 6, mode="wrap")
        for _ in range(4)
    ]
    return [(image - image.min()) / np.ptp(image) for image in drawn]


BLOBS = [blobs(1), blobs(2)]


def generate(path: Path, volumes: int) -> tuple[int, ...]:
    """Write the stack plane by plane as an OME-BigTIFF with scale."""
    shape = (volumes, DEPTH, CHANNELS, PLANE, PLANE)

    def planes() -> Iterator[np.ndarray]:
        for number in range(volumes * DEPTH * CHANNELS):
            yield plane(number, number % CHANNELS)

    sizes = {f"PhysicalSize{a}": SCALE[a] for a in "XYZ"} | {
        f"PhysicalSize{a}Unit": "µm" for a in "XYZ"
    }
    metadata = {"axes": "TZCYX", "TimeIncrement": SCALE["T"], "TimeIncrementUnit": "s", **sizes}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as writer:
        writer.write(
            planes(), shape=shape, dtype=np.uint16, metadata=metadata, photometric="minisblack"
        )
    return shape


def run(source: Path, model: Path, out: Path, threads: int) -> dict[str, object]:
    """Denoise as a process of its own, and watch its memory."""
    command = [
        sys.executable,
        "-m",
        "napari_dip",
        "denoise",
        source,
        "--out",
        out,
        "--model",
        model,
        "--device",
        "cpu",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TMPDIR": str(out.parent)}
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], env=environment)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, *(int(n) for n in re.findall(r"VmHWM:\s+(\d+)", status)), 0)
        except OSError:
            pass
        time.sleep(0.2)
    assert process.returncode == 0, f"ended with {process.returncode}"
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "peak_bytes": peak * 1024,
        "seconds": time.monotonic() - started,
        "cpu_seconds_children": spent.ru_utime + spent.ru_stime,
    }


def check(source: Path, out: Path, model: Path) -> dict[str, object]:
    """Compare what came out with what went in, and one plane with that plane done alone."""
    noisy, answer = read(source), read(out)
    same = {
        "shape": answer.shape == noisy.shape,
        "axes": answer.axes == noisy.axes,
        "scale": bool(np.allclose(answer.scale, noisy.scale)) and answer.units == noisy.units,
    }
    indices = noisy.plane_indices()
    levels = [
        [float(np.mean(image.plane(index)[0, :32, :32])) for index in indices]
        for image in (noisy, answer)
    ]
    same["order"] = bool(np.abs(np.subtract(*levels)).max() < 20)
    at = indices[len(indices) // 3]
    one = tuple(slice(i, i + 1) if isinstance(i, int) else i for i in at)
    # Alone a plane would be measured by itself: the noise of the whole stack is put in its place.
    alone = alone_with(noisy, one, model)
    span = float(np.ptp(answer.plane(at)))
    return {
        "right": same,
        "largest_difference_to_alone": float(np.abs(alone - answer.plane(at)).max()) / span,
    }


def alone_with(noisy: Image, one: tuple[slice, ...], model: Path) -> np.ndarray:
    """Denoise one plane of a stack by itself, at the intensity map of the stack."""
    stats = measure_image(noisy, stabilise=True)
    at = one[2].start
    channel = replace(
        stats,
        unit_ranges=(stats.unit_ranges[at],),
        shared_hot_pixels=(stats.shared_hot_pixels[at],),
        hot_pixels=0,
    )
    piece = noisy.with_pixels(np.asarray(noisy.pixels[one]))
    with mock.patch("napari_dip.models.apply.measure_image", return_value=channel):
        answer = denoise(piece, load_model(model), device="cpu")
    return np.asarray(answer.pixels).reshape(1, PLANE, PLANE)


def main() -> None:
    """Generate, train, denoise, check, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=6.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--suffix", choices=(".tif", ".zarr"), default=".tif")
    parser.add_argument("--name", default="large_stack")
    choices = parser.parse_args()
    volumes = max(1, round(choices.gigabytes * 1e9 / (2 * PLANE**2 * DEPTH * CHANNELS)))
    folder = Path(tempfile.mkdtemp(prefix="large-stack-", dir=choices.folder))
    try:
        source, out, model = (
            folder / "stack.ome.tif",
            folder / f"answer{choices.suffix}",
            folder / "model.safetensors",
        )
        few = np.stack([plane(n, n % CHANNELS)[:256, :256] for n in range(4)])
        train(few, SETTINGS, device="cpu").save(model)
        shape = generate(source, volumes)
        size = source.stat().st_size
        print(f"{shape}, {size / 1e9:.2f} GB", flush=True)
        result = run(source, model, out, choices.threads)
        result |= {
            "threads": choices.threads,
            "bytes": size,
            "shape": list(shape),
            "axes": "TZCYX",
            "output": choices.suffix,
        }
        result["planes_a_second"] = int(np.prod(shape[:3])) / float(str(result["seconds"]))
        result |= check(source, out, model)
        result |= {"settings": SETTINGS.to_json(), "machine": machine()}
        print(result)
        print("wrote", save(choices.name, result))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
