"""What all methods' settings share, and how a form, a flag or a docs row is read off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


def knob(
    default: Any, help_text: str, *, unit: str = "", basic: bool = False, **bounds: Any
) -> Any:
    """Declare one setting: default, help, unit, whether it shows unfolded, and pydantic's bounds."""
    return Field(
        default, description=help_text, json_schema_extra={"unit": unit, "basic": basic}, **bounds
    )


class Settings(BaseModel):
    """What all methods' settings share: frozen, validated, no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: ClassVar[str]
    title: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]

    steps: int
    seed: int = knob(
        0,
        "Seed of every random draw: same seed and device, same pixels.",
        ge=0,
        le=2**31 - 1,
        basic=True,
    )

    def __init__(self, **values: Any) -> None:
        """Check all values; what is wrong with them comes as one sentence, not as pydantic's report.

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
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return the settings of a named preset, with `changes` on top.

        Raises
        ------
        ValueError
            If there is no preset of that name, or a change is out of bounds.
        """
        if name not in cls.presets:
            raise ValueError(
                f"{cls.title} has no preset {name!r}; there are {', '.join(cls.presets)}."
            )
        return cls(**{**cls.presets[name], **changes})

    @property
    def std_from(self) -> str:
        """Where a standard deviation for every pixel comes from; ``"none"`` where there is none."""
        return str(getattr(self, "uncertainty", "none"))

    def with_uncertainty(self) -> Self:
        """Return these settings so that they give a standard deviation for every pixel.

        Raises
        ------
        ValueError
            If the method has none.
        """
        raise ValueError(
            f"{self.title} gives no standard deviation; take DIP or PatchDIP, or leave it out."
        )

    def described(self) -> dict[str, object]:
        """Return method and every setting, ready for JSON."""
        return {"method": self.method, **self.model_dump(mode="json")}


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
    """List a method's settings in the order of their declaration, the method's own first and `seed` last."""
    out = []
    for name, info in settings.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        bounds = {
            k: getattr(m, k)
            for m in info.metadata
            for k in ("ge", "gt", "le", "lt")
            if hasattr(m, k)
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
        parts.append(
            f"{where} = {problem['input']!r}: {words[0].lower()}{words[1:]}" if where else words
        )
    return "; ".join(parts).rstrip(".") + "."
