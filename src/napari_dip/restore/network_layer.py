"""The network and the layer whose features are inverted, out of a file that runs no Python code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_dip.models.model import SUFFIX, load_model

if TYPE_CHECKING:
    from torch import nn

MOST_NAMED = 20  # layers in an error's sentence


def load_network_layer(path: Path, layer: str) -> tuple[nn.Module, str]:
    """Load a network, and return it with the name of the layer inside it.

    Parameters
    ----------
    path : Path
        A model that was trained with this package (``.safetensors``), or a TorchScript file.
    layer : str
        A name in ``dict(module.named_modules())``; ``""`` is the output of the whole.

    Returns
    -------
    module, layer
        As `napari_dip.invert_features` takes them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is neither, or there is no such layer (with the names of those that are).
    """
    if path.suffix.lower() == SUFFIX:
        net = load_model(path).net
        check_layer(net, layer)
        return net, layer
    return cut_at_layer(load_script(path), layer), ""


def load_script(path: Path) -> nn.Module:
    """Load a TorchScript file; nothing in it is unpickled into Python."""
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path} with a module: check the name and the folder."
        )
    import torch

    try:
        return torch.jit.load(  # type: ignore[no-any-return, no-untyped-call]
            str(path), map_location="cpu"
        )
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path.name} is neither a model of napari-dip nor a TorchScript file: write one by "
            "torch.jit.save(torch.jit.trace(module.eval(), example), file)."
        ) from error


def cut_at_layer(module: nn.Module, layer: str) -> nn.Module:
    """Return the part of a TorchScript module up to a layer.

    Hooks cannot see inside such modules, so a ValueError refuses a layer that is not reached
    through containers of the kind ``nn.Sequential`` alone.
    """
    from torch import nn

    check_layer(module, layer)
    parts: list[nn.Module] = []
    for name in layer.split(".") if layer else []:
        kind = getattr(module, "original_name", type(module).__name__)
        if kind != "Sequential":
            raise ValueError(
                f"The layer {layer!r} lies inside a {kind}, which cannot be cut: save the module "
                "up to that layer, or call napari_dip.invert_features in Python."
            )
        children = dict(module.named_children())
        parts += list(children.values())[: list(children).index(name)]
        module = children[name]
    return nn.Sequential(*parts, module)


def check_layer(module: nn.Module, layer: str) -> None:
    """Raise a ValueError for what is no module, or a layer it does not have, with their names."""
    if not hasattr(module, "named_modules"):
        raise ValueError(f"module is a {type(module).__name__}; give a torch.nn.Module.")
    names = [name for name, _ in module.named_modules()]
    if layer not in names:
        named = _list_names(layer, [name for name in names if name])
        raise ValueError(f"The module has no layer {layer!r}; {named}.")


def _list_names(wanted: str, names: list[str]) -> str:
    """Return a clause with the layers there are; of very many, the nearest."""
    from difflib import get_close_matches

    if len(names) <= MOST_NAMED:
        return f"there are {', '.join(names)}"
    near = get_close_matches(wanted, names, n=5, cutoff=0) or names[:5]
    return f"there are {len(names)}, of which the nearest are {', '.join(near)}"
