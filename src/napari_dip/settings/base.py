"""What all methods' settings share, and how a form, a flag or a docs row is read off them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

Presets = Mapping[str, Mapping[str, Any]]
Retired = Mapping[str, tuple[Any, str]]  # the value that changed nothing, and what to do


def knob(
    default: Any,
    help_text: str,
    *,
    unit: str = "",
    basic: bool = False,
    choices: Callable[[], Sequence[str]] | None = None,
    **bounds: Any,
) -> Any:
    """Declare one setting.

    Parameters
    ----------
    default
        Its default.
    help_text : str
        What it does, for the form, the flag and the docs.
    unit : str
        Of its value, such as ``"pixels"``.
    basic : bool
        Whether a form shows it unfolded.
    choices : callable, optional
        Returns the values allowed, where a registry holds them: what is registered later counts
        too.
    **bounds
        As pydantic takes them: ``ge``, ``gt``, ``le``, ``lt``.
    """
    extra: Any = {"unit": unit, "basic": basic, "choices": choices}
    return Field(default, description=help_text, json_schema_extra=extra, **bounds)


def _extra(info: FieldInfo) -> dict[str, Any]:
    return dict(info.json_schema_extra) if isinstance(info.json_schema_extra, dict) else {}


class Settings(BaseModel):
    """What all methods' settings share: frozen, validated, no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: ClassVar[str]  # its name on the command line and in files
    title: ClassVar[str]  # its name in words
    summary: ClassVar[str] = ""  # one line that helps a microscopist to choose
    presets: ClassVar[Presets] = {"fast": {}}
    retired: ClassVar[Retired] = {}  # settings that are in older files

    steps: int
    seed: int = knob(
        0,
        "Seed of every random draw: same seed, same pixels on one CPU; on a GPU up to rounding.",
        ge=0,
        le=2**31 - 1,
        basic=True,
    )

    def __init__(self, **values: Any) -> None:
        """Check all values; what is wrong comes as one sentence, not as pydantic's report.

        Raises
        ------
        ValueError
            If a name is unknown or a value is out of its bounds.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ValueError(explain(error)) from error

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Fill in the values allowed for knobs whose choices are in a registry."""
        cls.refresh_choices()

    @classmethod
    def refresh_choices(cls) -> None:
        """Allow for each knob what its registry holds now, whenever something is registered."""
        changed = False
        for info in cls.model_fields.values():
            choices = _extra(info).get("choices")
            allowed: Any = Literal[tuple(choices())] if choices else info.annotation
            changed |= allowed != info.annotation
            info.annotation = allowed
        if changed:
            cls.model_rebuild(force=True)
        for subclass in cls.__subclasses__():
            subclass.refresh_choices()

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, values: Any) -> Any:
        """Drop what older files hold and does nothing; say what took the place of the rest."""
        if isinstance(values, Mapping):
            for name, (idle, instead) in cls.retired.items():
                if values.get(name, idle) != idle:
                    raise ValueError(f"{name} is no setting any more: {instead}; leave it out")
            values = {k: v for k, v in values.items() if k not in cls.retired}
        return values

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return the settings of a named preset, with `changes` on top.

        Raises
        ------
        ValueError
            If there is no preset of that name, or a change is out of bounds.
        """
        if name not in cls.presets:
            others = _those_with(lambda other: name in other.presets)
            raise ValueError(
                f"{cls.__name__} has no preset {name!r}, but {' and '.join(cls.presets)}{others}."
            )
        return cls(**{**cls.presets[name], **changes})

    @property
    def std_from(self) -> str:
        """Where a standard deviation for every pixel comes from; ``"none"`` where there is none."""
        return str(getattr(self, "uncertainty", "none"))

    @property
    def keeps_hot_pixels(self) -> bool:
        """Whether hot and dead pixels stay as they are; a method without such a knob has none."""
        return getattr(self, "hot_pixels", "auto") == "keep"

    def with_uncertainty(self) -> Self:
        """Return these settings so that they give a standard deviation for every pixel.

        Raises
        ------
        ValueError
            If the method has none.
        """
        raise ValueError(
            f"{self.title} gives no standard deviation; take BlindSpot, DIP or PatchDIP, or leave "
            "it out."
        )

    def to_json(self) -> dict[str, object]:
        """Return method and every setting, ready for JSON."""
        return {"method": self.method, **self.model_dump(mode="json")}


class FitSettings(Settings):
    """What every fit to one image shares: what chooses the step."""

    stop: str
    held_out_share: float
    patience: int

    @model_validator(mode="after")
    def _has_hidden_pixels(self) -> Self:
        if self.stop == "held-out" and self.held_out_share == 0:
            raise ValueError(
                "stop 'held-out' needs hidden pixels; give held_out_share a value above 0 or take "
                "stop 'never'"
            )
        return self


@dataclass(frozen=True)
class Knob:
    """One setting as a form, a flag or a docs row needs it."""

    name: str
    annotation: Any
    default: Any
    help: str
    unit: str
    basic: bool
    bounds: Mapping[str, float]


def knobs(settings: type[Settings]) -> list[Knob]:
    """List a method's settings in the order of their declaration, `seed` last."""
    out = []
    for name, info in settings.model_fields.items():
        extra = _extra(info)
        bounds = {
            sign: getattr(limit, sign)
            for limit in info.metadata
            for sign in ("ge", "gt", "le", "lt")
            if hasattr(limit, sign)
        }
        out.append(
            Knob(
                name=name,
                annotation=info.annotation,
                default=info.default,
                help=info.description or "",
                unit=str(extra.get("unit", "")),
                basic=bool(extra.get("basic", False)),
                bounds=bounds,
            )
        )
    return sorted(out, key=lambda k: k.name == "seed")


def explain(error: ValidationError) -> str:
    """Turn pydantic's report into one sentence a user can act on."""
    parts = []
    for problem in error.errors():
        words = problem["msg"].removeprefix("Value error, ")
        where = ".".join(str(p) for p in problem["loc"])
        if problem["type"] == "extra_forbidden":
            others = _those_with(partial(_has_setting, where))
            parts.append(f"{error.title} has no setting {where!r}{others}")
        elif where:
            parts.append(f"{where} = {problem['input']!r}: {words[0].lower()}{words[1:]}")
        else:
            parts.append(words)
    return "; ".join(parts).rstrip(".") + "."


def _has_setting(name: str, settings: type[Settings]) -> bool:
    return name in settings.model_fields


def _those_with(has: Callable[[type[Settings]], bool]) -> str:
    """Name the methods that have what another one lacks."""
    classes = list(Settings.__subclasses__())
    for cls in classes:
        classes += cls.__subclasses__()
    names = [cls.__name__ for cls in classes if hasattr(cls, "method") and has(cls)]
    return f"; {', '.join(names)} {'have' if len(names) > 1 else 'has'} one" if names else ""
