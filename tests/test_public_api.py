"""The public names: listed once, in public_api.json, so that none comes or goes unnoticed."""

from __future__ import annotations

import doctest
import inspect
import json
import re
from pathlib import Path

import pytest

import napari_dip

LISTED = json.loads((Path(__file__).parent / "public_api.json").read_text("utf-8"))
PUBLIC = {name: getattr(napari_dip, name) for name in LISTED}


def test_the_list_is_the_public_api() -> None:
    assert sorted(napari_dip.__all__) == sorted(LISTED), (
        "a change of the API is a change of public_api.json"
    )
    assert sorted(LISTED) == LISTED


def test_the_stub_names_each_as_an_export() -> None:
    stub = Path(napari_dip.__file__).with_name("__init__.pyi").read_text("utf-8")
    assert sorted(re.findall(r" import (\w+) as \1$", stub, re.MULTILINE)) == LISTED


@pytest.mark.parametrize("name", LISTED)
def test_each_has_a_docstring_with_a_summary(name: str) -> None:
    text = inspect.getdoc(PUBLIC[name]) or ""
    summary = text.split("\n\n")[0]
    assert summary and summary.endswith("."), f"{name} needs a docstring that opens with a sentence"
    assert PUBLIC[name].__doc__, f"{name} must not inherit its docstring"


@pytest.mark.parametrize("name", [n for n in LISTED if inspect.isfunction(PUBLIC[n])])
def test_each_function_documents_its_parameters_and_is_typed(name: str) -> None:
    function = PUBLIC[name]
    text = inspect.getdoc(function) or ""
    names = inspect.signature(function).parameters
    assert len(names) < 2 or "Parameters\n-----" in text, f"{name} needs a Parameters section"
    for parameter in names if "Parameters\n-----" in text else ():
        section = text.split("Parameters\n")[1]
        assert re.search(rf"(^|, ){parameter}\b", section, re.MULTILINE), (
            f"{name}: {parameter} is not documented"
        )
    assert set(inspect.get_annotations(function)) == {*names, "return"}


@pytest.mark.parametrize("name", [n for n in LISTED if inspect.isclass(PUBLIC[n])])
def test_each_public_method_has_a_docstring(name: str) -> None:
    for attribute, value in vars(PUBLIC[name]).items():
        plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        target = plain.fget if isinstance(plain, property) else plain
        if not attribute.startswith("_") and inspect.isfunction(target):
            assert inspect.getdoc(target), f"{name}.{attribute} needs a docstring"


@pytest.mark.parametrize("name", [n for n in LISTED if ">>> " in str(PUBLIC[n].__doc__)])
def test_the_examples_give_what_they_say(name: str) -> None:
    failures: list[str] = []
    for example in doctest.DocTestFinder(recurse=False).find(PUBLIC[name], name, globs={}):
        doctest.DocTestRunner().run(example, out=failures.append)
    assert not failures, "".join(failures)
