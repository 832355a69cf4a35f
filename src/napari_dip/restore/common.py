"""Settings, types and the run to the end of a stream: what all restorations share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np

from napari_dip.denoising import fit_image
from napari_dip.images.image import ArrayLike, Image
from napari_dip.planes.image_statistics import ImageStatistics, measure_image
from napari_dip.settings import Settings
from napari_dip.snapshot import Snapshot, last_with_warnings, with_progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dip.engine.device import Device
    from napari_dip.planes.chunk import Chunk

AnySettings = TypeVar("AnySettings", bound=Settings)
P = ParamSpec("P")


class TypedLikeInput(Protocol[P]):
    """A function that returns an Image for an Image, and a float32 array for any other array."""

    @overload
    def __call__(self, image: Image, *args: P.args, **kwargs: P.kwargs) -> Image: ...
    @overload
    def __call__(
        self, image: ArrayLike, *args: P.args, **kwargs: P.kwargs
    ) -> NDArray[np.float32]: ...


def typed_like_input(function: Callable[Concatenate[Any, P], Any]) -> TypedLikeInput[P]:
    """Declare to type checkers that a function returns the type it is given; change nothing."""
    return cast("TypedLikeInput[P]", function)


def check_settings(how: AnySettings | None, task: type[AnySettings]) -> AnySettings:
    """Return the settings, by default those of the task; raise a ValueError for any others."""
    if how is None:
        return task.preset("fast")
    if not isinstance(how, task):
        name = task.__name__
        raise ValueError(
            f"how is {how!r}; give settings of {task.title}, such as {name}() or {name}(steps=400)."
        )
    return how


@dataclass(frozen=True)
class Restoration:
    """The restoration of an image that is checked and measured.

    Attributes
    ----------
    work : callable
        Takes a `Chunk`, which gets the statistics of the whole, or None for the whole; returns the
        stream of snapshots.
    unreached : callable
        Takes an index of the answer; returns what stands there before the work gets there.
    """

    work: Callable[[Chunk | None], Iterator[Snapshot]]
    unreached: Callable[[tuple[Any, ...]], Any]


def prepare_restoration(
    source: Image,
    how: Settings,
    device: Device,
    *,
    stats: ImageStatistics | None = None,
    canvas: Callable[[Image], Image] | None = None,
    **options: Any,
) -> Restoration:
    """Return the restoration of an image by `napari_dip.denoising.fit_image`.

    Parameters
    ----------
    source, how, device, **options
        As for that.
    stats : ImageStatistics, optional
        Of the image; measured where not given.
    canvas : callable, optional
        Takes `source` or a range of it; returns what the answer begins as, where that is another.
    """
    measured = stats or measure_image(
        source,
        stabilise=getattr(how, "stabilise", False),
        straighten=False,
        keep_hot_pixels=how.keeps_hot_pixels,
    )

    def work(chunk: Chunk | None) -> Iterator[Snapshot]:
        part = None if chunk is None else replace(chunk, stats=measured)
        begun = source if part is None else part.view(source)
        more: dict[str, Any] = {} if canvas is None else {"canvas": canvas(begun)}
        return fit_image(source, how, device, stats=measured, chunk=part, **options, **more)

    def unreached(index: tuple[Any, ...]) -> Any:
        if canvas is None:
            return source.pixels[index]
        stack = [isinstance(key, int) for key in index]
        place = tuple(
            slice(k, k + 1) if one else slice(None) for k, one in zip(index, stack, strict=True)
        )
        inside = tuple(0 if one else key for key, one in zip(index, stack, strict=True))
        return canvas(source.with_pixels(np.asarray(source.pixels[place]))).pixels[inside]

    return Restoration(work, unreached)


def run_to_end(
    image: Image | ArrayLike, snapshots: Iterator[Snapshot], progress: bool = False
) -> Image | NDArray[np.float32]:
    """Return the last answer of a stream as what was given, an Image or an array."""
    snapshots = with_progress_bar(snapshots) if progress else snapshots
    answer = last_with_warnings(snapshots, stacklevel=4).image
    return answer if isinstance(image, Image) else np.asarray(answer.pixels, dtype=np.float32)
