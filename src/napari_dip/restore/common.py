"""What the restorations share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np

from napari_dip.images.image import ArrayLike, Image
from napari_dip.settings import Settings
from napari_dip.snapshot import Snapshot, finished

if TYPE_CHECKING:
    from numpy.typing import NDArray

Chosen = TypeVar("Chosen", bound=Settings)
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
    """Tell type checkers that a function returns what it is given, and leave it as it is."""
    return cast("TypedLikeInput[P]", function)


def checked(how: Chosen | None, task: type[Chosen]) -> Chosen:
    """Return the settings, the task's own defaults where none are given.

    Raises
    ------
    ValueError
        For anything but settings of that task.
    """
    if how is None:
        return task.preset("fast")
    if not isinstance(how, task):
        name = task.__name__
        raise ValueError(
            f"how is {how!r}; give settings of {task.title}, such as {name}() or {name}(steps=400)."
        )
    return how


def run(image: Image | ArrayLike, snapshots: Iterator[Snapshot]) -> Image | NDArray[np.float32]:
    """Run a stream to its end and return its answer as what was given: an Image or an array."""
    answer = finished(snapshots, stacklevel=4).image
    return answer if isinstance(image, Image) else np.asarray(answer.pixels, dtype=np.float32)
