"""Files that microscopes and other programs wrote are read as they meant them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from some_images import assert_same

from napari_dip.files.checksum import sha256
from napari_dip.files.read_write import read, write


@pytest.mark.parametrize(
    ("name", "axes", "shape", "dtype", "scale", "unit"),
    [
        ("fmd_confocal_fov01/fish_raw.tif", "YX", (512, 512), "uint8", (1, 1), "pixel"),
        (
            "fmd_confocal_fov01_stack/3D_volume_raw_stack1_32bit.tif",
            "ZYX",
            (3, 512, 512),
            "float32",
            (1, 1, 1),
            "pixel",
        ),
        (
            "fmd_ome_tiff/FOV7_HV110_P0500510000.ome.tiff",
            "YX",
            (512, 512),
            "uint8",
            (1, 1),
            "pixel",
        ),
        (
            "lysosome_timelapse/1.tif",
            "TYX",
            (50, 128, 128),
            "uint16",
            (1, 1e6 / 7739899, 1e6 / 7739899),
            "um",
        ),
        ("noisy_only_16bit/convallaria_Conv0000.tif", "YX", (1024, 1024), "uint16", (1, 1), "cm"),
        ("stack_tiff/CH3_Fluorescence_8bit.tif", "CYX", (3, 272, 275), "uint8", (1, 1, 1), "pixel"),
        ("stack_tiff/mini-t1-head.tif", "ZYX", (32, 32, 32), "uint16", (1.5, 1.5, 1.5), "mm"),
        ("stack_tiff/tiff_stack.tif", "ZYX", (5, 512, 512), "uint16", (1, 1, 1), "pixel"),
        ("w2s_widefield_8bit/input_avg1_001_0.tif", "YX", (512, 512), "uint8", (1, 1), "pixel"),
        ("hagen_lowsnr_highsnr/nucleus_lowsnr.png", "YX", (512, 512), "uint8", (1, 1), "pixel"),
        ("cryoem_simulated/000041_str3_clean.png", "YX", (128, 128), "uint16", (1, 1), "pixel"),
        ("dip_denoising_set/F16_GT.png", "YXC", (512, 512, 3), "uint8", (1, 1, 1), "pixel"),
        ("dip_denoising_set/snail.jpg", "YXC", (261, 400, 3), "uint8", (1, 1, 1), "pixel"),
    ],
)
def test_real_files(data_dir, tmp_path, name, axes, shape, dtype, scale, unit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read(data_dir / name)
    assert (image.axes, image.shape, image.dtype) == (axes, shape, np.dtype(dtype))
    assert image.scale == pytest.approx(scale, rel=1e-5) and image.units[-1] == unit
    assert image.provenance == {} and "." not in image.name
    for suffix in (".tif", ".ome.tif"):
        write(tmp_path / f"a{suffix}", image)
        assert_same(image, read(tmp_path / f"a{suffix}"))


def test_sha256_is_the_one_the_data_set_states(data_dir):
    stated = "8bd895d76c2dfdfefd7d8ba4a4349247fbf2124d7817b654699c352b0816407c"
    assert sha256(data_dir / "lysosome_timelapse" / "1.tif") == stated


def test_a_renamed_ome_file_is_still_read(data_dir, tmp_path):
    source = data_dir / "fmd_ome_tiff" / "FOV7_HV110_P0500510000.ome.tiff"
    copy = tmp_path / "b.ome.tiff"
    copy.write_bytes(Path(source).read_bytes())
    np.testing.assert_array_equal(read(copy).pixels, read(source).pixels)
