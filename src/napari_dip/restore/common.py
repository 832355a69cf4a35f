"""Settings, types and the run to the end of a stream: what all restorations share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np

from napari_dip.images.image import ArrayLike, Image
from napari_dip.settings import Settings
from napari_dip.snapshot import Snapshot, last_with_warnings, with_progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def run_to_end(
    image: Image | ArrayLike, snapshots: Iterator[Snapshot], progress: bool = False
) -> Image | NDArray[np.float32]:
    """Return the last answer of a stream as what was given, an Image or an array."""
    snapshots = with_progress_bar(snapshots) if progress else snapshots
    answer = last_with_warnings(snapshots, stacklevel=4).image
    return answer if isinstance(image, Image) else np.asarray(answer.pixels, dtype=np.float32)
