"""The flags that say which part of a file is wanted."""

from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import Parameter

from napari_dip.cli.flags import FILES, flag
from napari_dip.images.part import Part


@Parameter(name="*")
@dataclass(frozen=True)
class PartOptions:
    """Which part of each file is wanted; by default all there is."""

    series: Annotated[
        str | None,
        flag(
            "Which image of a file that holds several, such as positions: its number from 0 on, "
            "its name, a range, or `all`; several go into a folder. `info` lists them.",
            group=FILES,
        ),
    ] = None
    channel: Annotated[
        str | None,
        flag("Which channels: numbers from 0 on or names, such as GFP or 0,2.", group=FILES),
    ] = None
    time: Annotated[
        str | None, flag("Which time points, from 0 on: 3, or 2:10 (without 10).", group=FILES)
    ] = None
    plane: Annotated[
        str | None,
        flag("Which planes along Z, from 0 on: 3, or 0,3, or 2:10 (without 10).", group=FILES),
    ] = None

    @property
    def part(self) -> Part:
        """The same as the files are read by."""
        return Part(**asdict(self))


NO_PART = PartOptions()
