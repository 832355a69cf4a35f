"""What the package promises to whoever installs it, and that the README tells the truth."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import tifffile
from markdown_it import MarkdownIt
from packaging.version import Version

import napari_dip
from napari_dip.files.read_write import write
from napari_dip.images.image import Image

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
README = (ROOT / "README.md").read_text("utf-8")
IN_REPOSITORY = re.compile(
    r"https://(github.com|raw.githubusercontent.com)/napari-dip/napari-dip/(blob/)?main/"
)
TOOLS = ("import-linter", "mypy", "ruff")
QT = ("napari", "qtpy", "pyqt", "pyside", "magicgui", "superqt", "pyqtgraph", "npe2", "vispy")


def name_of(requirement: str) -> str:
    return re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0].lower()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def after(marker: str) -> str:
    """The README's one block after a marker."""
    found = re.findall(rf"<!-- {marker} -->\n```bash\n(.*?)```", README, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_hard_dependencies_hold_no_gui_and_no_torchvision() -> None:
    names = [name_of(requirement) for requirement in PROJECT["dependencies"]]
    assert "torch" in names
    assert not [name for name in names if name.startswith(QT)]
    everything = [*PROJECT["dependencies"], *(r for extra in EXTRAS.values() for r in extra)]
    assert "torchvision" not in map(name_of, everything)
    assert not [r for r in EXTRAS["napari"] if name_of(r).startswith(("pyqt6", "pyqt5", "pyside"))]


def test_dependencies_have_lower_bounds_only() -> None:
    for requirement in [*PROJECT["dependencies"], *EXTRAS["napari"]]:
        assert ">=" in requirement, requirement
        assert not re.search(r"<|==|~=|@", requirement), (
            f"{requirement} would forbid a newer version"
        )


def test_the_commercial_trap_is_an_extra_of_its_own() -> None:
    holders = [
        extra for extra, requirements in EXTRAS.items() if "bm3d" in map(name_of, requirements)
    ]
    assert holders == ["bm3d-noncommercial"]


@pytest.mark.skipif(sys.platform == "win32", reason="git makes no links on Windows")
def test_the_manifest_at_the_root_is_that_of_the_package() -> None:
    inside = Path(napari_dip.__file__).with_name("napari.yaml")
    assert (ROOT / "napari.yaml").read_bytes() == inside.read_bytes()


def test_the_manifest_is_an_entry_point() -> None:
    assert PROJECT["entry-points"]["napari.manifest"] == {"napari-dip": "napari_dip:napari.yaml"}
    assert "Framework :: napari" in PROJECT["classifiers"]
    assert PROJECT["license"] == "BSD-3-Clause" and (ROOT / "LICENSE").is_file()


def test_constraints_are_exact_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9.-]+==[0-9][0-9a-z.]*", pin) for pin in pins), (
        "no URLs, no local versions"
    )
    assert "torch==2.13.0" in pins
    assert not [pin for pin in pins if pin.startswith(("napari-dip=", "bm3d=", "torchvision="))]
    wanted = {
        name_of(r)
        for r in [*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["docs"], *EXTRAS["napari"]]
    }
    assert wanted - {"napari-dip"} <= {pin.split("==")[0] for pin in pins}


def test_the_lowest_versions_that_are_run_are_those_promised() -> None:
    lines = (ROOT / "constraints-lowest.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    for extra in ("napari", "zarr", "distributed", "test"):
        for requirement in [*PROJECT["dependencies"], *EXTRAS[extra]]:
            name, _, bound = requirement.partition(">=")
            if name in pins:
                assert Version(pins[name]) == Version(bound), requirement
            else:  # tools that pytest does not run
                assert extra == "test" and name.startswith(("napari-dip", *TOOLS)), requirement


def test_the_two_commands_are_in_the_readme_and_ci_runs_them() -> None:
    assert "pip install -c constraints.txt . && napari-dip demo" in after("main-command")
    for step in (
        'pip install -c constraints.txt -e ".[test,interop]"',
        "ruff check .",
        "mypy",
        "lint-imports",
        "pytest",
    ):
        assert step in after("test-command")
    script = ROOT / ".ci" / "run"
    assert sys.platform == "win32" or script.stat().st_mode & 0o111
    assert "<!-- test-command -->" in script.read_text("utf-8")


def examples_of(page: Path) -> list[str]:
    if page.suffix == ".ipynb":  # one program, in cells
        cells = json.loads(page.read_text("utf-8"))["cells"]
        return ["\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")]
    return blocks(page.read_text("utf-8"), "python")


@pytest.mark.parametrize(
    "page", ["README.md", "docs/python.md", "docs/tutorial.md", "docs/first_image.ipynb"]
)
def test_the_python_examples_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = examples_of(ROOT / page)
    assert examples
    monkeypatch.setitem(matplotlib.rcParams, "backend", "agg")
    monkeypatch.chdir(tmp_path)
    for name in ("cells.tif", "raw/cells.tif", "denoised/cells.tif"):
        Path(name).parent.mkdir(exist_ok=True)
        write(name, Image(np.random.default_rng(0).poisson(9, (48, 40)).astype("uint16")))
    with tifffile.TiffWriter("plate.ome.tif", ome=True) as plate:
        for name in ("Well A2", "Well A3"):
            about = {"axes": "TCZYX", "Name": name, "Channel": {"Name": ["DAPI", "GFP"]}}
            plate.write(np.zeros((2, 2, 9, 8, 8), "uint8"), metadata=about)
    for example in examples:
        quick = re.sub(r"((?:DIP|BlindSpot)\(|step[s%= ]+)(steps=)?\d+", r"\g<1>\g<2>3", example)
        exec(compile(quick, page, "exec"), {})
    assert any(Path().glob("*denoised.tif")) or Path("figure.png").exists()


def links(html: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]*)"', html)


def test_links_of_the_readme_work_on_a_package_index_and_lead_somewhere() -> None:
    html = MarkdownIt().enable("table").render(README)
    text = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    assert not re.findall(r"\[.*?\]", text), "links without an address"
    assert not [link for link in links(html) if not link.startswith(("https://", "#"))]
    inside = [re.sub(IN_REPOSITORY, "", link) for link in links(html) if IN_REPOSITORY.match(link)]
    assert len(inside) > 5
    for target in inside:
        assert (ROOT / target.split("#")[0]).is_file(), target


@pytest.mark.parametrize(
    "example", [b for b in blocks(README, "bash") if "napari-dip denoise" in b]
)
def test_the_commands_of_the_readme_parse(example: str) -> None:
    from napari_dip.cli.commands import build

    for line in example.splitlines():
        words = line.split("#")[0].split()[1:]
        build(words).parse_args(words, exit_on_error=False, print_error=False)
