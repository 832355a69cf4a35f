"""The registry of networks that turn z into an image: one record each.

A network is one file in `napari_dip.nets` and one record here; the choice ``net`` of every method
that fits such a network, its flag, form and docs row follow.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_dip.settings.base import Settings


@dataclass(frozen=True)
class Network:
    """A network of z.

    Attributes
    ----------
    name : str
        As ``net`` says it.
    build : str
        ``"module:function"``; the function takes settings, channels of z and channels of the image,
        and returns a `napari_dip.nets.base.PriorNet`. A name, so that forms and flags need no
        torch.
    takes_image : bool
        Whether an image may stand in for z, as a guide does.
    evaluation_mode : bool
        Whether the answer is looked at in evaluation mode, nothing dropped, where `dropout` drops
        values while it is fitted.
    """

    name: str
    build: str
    takes_image: bool = True
    evaluation_mode: bool = False


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network("skip", "napari_dip.nets.skip:build"),
        Network("pyramid", "napari_dip.nets.pyramid:build"),
        Network("resnet", "napari_dip.nets.resnet:build"),
        Network("resunet", "napari_dip.nets.resunet:build", evaluation_mode=True),
        Network("decoder", "napari_dip.nets.decoder:build", takes_image=False),
        Network("unet", "napari_dip.nets.unet:build"),
    )
}


def register_network(network: Network) -> None:
    """Add a network of z, so that every method that fits one offers it.

    Raises
    ------
    ValueError
        If there is one of that name.
    """
    if network.name in NETWORKS:
        raise ValueError(f"There is a network {network.name!r} already; choose another name.")
    NETWORKS[network.name] = network
    Settings.refresh_choices()


def unregister_network(name: str) -> None:
    """Take a network out again."""
    del NETWORKS[name]
    Settings.refresh_choices()


def any_network() -> list[str]:
    """Return the names of all networks of z."""
    return list(NETWORKS)


def networks_of_images() -> list[str]:
    """Return the names of those whose z may be an image."""
    return [name for name, network in NETWORKS.items() if network.takes_image]
