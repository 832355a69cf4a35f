"""What a method, network or format is stands in its record; nothing else names them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import napari_dip
from napari_dip import settings
from napari_dip.files import registry as formats
from napari_dip.methods import registry

ROOT = Path(napari_dip.__file__).parent
FILES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if path.parent.name != "settings" and path.name not in ("registry.py", "format.py")
]
CLASSES = {name for name in settings.__all__ if isinstance(getattr(settings, name), type)}
NAMES = {
    *registry.METHODS,
    *registry.TRAINED,
    *registry.RESTORATIONS,
    *settings.network_registry.NETWORKS,
    *formats.readable_suffixes(),
}


def listed(node: ast.AST) -> list[str]:
    """The names of methods, networks and formats among the items of a list, tuple, set or dict."""
    items: list[ast.expr | None] = []
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        items = [*node.elts]
    elif isinstance(node, ast.Dict):
        items = [*node.keys]
    elif isinstance(node, ast.MatchOr):
        return [p.value.value for p in node.patterns if isinstance(p, ast.MatchValue)]  # type: ignore[attr-defined]
    return [i.value for i in items if isinstance(i, ast.Constant) and i.value in NAMES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_class_of_settings_and_no_list_of_names(path: Path) -> None:
    own_record = any(f'("{name}",' in path.read_text("utf-8") for name in NAMES) and (
        path.parent.name in ("files", "vendor")
    )
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            asked = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
            assert not asked & (CLASSES - {"Settings"}), f"line {node.lineno} asks for a class"
        if not own_record:
            assert len(listed(node)) < 2, f"line {node.lineno} lists {listed(node)}"
