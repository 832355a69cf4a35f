"""Every method's settings: the one place where a default, its unit, its bounds and its help text stand.

A settings object IS the choice of method and of all its knobs. The dock's form, the command line's flags, the table in
the docs and the provenance record are read off these classes; `knobs` gives them to whoever builds such a thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


def knob(default: Any, help_text: str, *, unit: str = "", basic: bool = False, **bounds: Any) -> Any:
    """Declare one setting: default, help, unit, whether it shows unfolded, and bounds (``ge``, ``le``, ``gt``, ``lt``)."""
    return Field(default, description=help_text, json_schema_extra={"unit": unit, "basic": basic}, **bounds)


class Settings(BaseModel):
    """What all methods' settings share: frozen, validated, no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: ClassVar[str]
    title: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]

    seed: int = knob(0, "Seed of every random draw: same seed and device, same pixels.", ge=0, basic=True)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return the settings of a named preset, with `changes` on top.

        Raises
        ------
        ValueError
            If there is no preset of that name, or a change is out of bounds.
        """
        if name not in cls.presets:
            raise ValueError(f"{cls.title} has no preset {name!r}; there are {', '.join(cls.presets)}.")
        return cls(**{**cls.presets[name], **changes})

    def described(self) -> dict[str, object]:
        """Return method and every setting, ready for JSON."""
        return {"method": self.method, **self.model_dump(mode="json")}


class DIP(Settings):
    """Deep Image Prior: an untrained network fitted to the one noisy image.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925.
    """

    method: ClassVar[str] = "dip"
    title: ClassVar[str] = "Deep Image Prior"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {},
        "paper": {
            "steps": 3000,
            "learning_rate": 0.01,
        },
    }

    steps: int = knob(800, "Steps of Adam at most; the stopping rule may end the fit earlier.", unit="steps", ge=1, le=1_000_000, basic=True)
    learning_rate: float = knob(0.01, "Learning rate of Adam.", gt=0, le=1)
    averaging: float = knob(0.99, "Weight of the past in the exponential average of outputs; 0 takes the last output.", ge=0, lt=1)
    stop: Literal["held-out", "variance", "never"] = knob("held-out", "What decides when to stop.", basic=True)


METHODS: dict[str, type[Settings]] = {cls.method: cls for cls in (DIP,)}


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
        bounds = {k: getattr(m, k) for m in info.metadata for k in ("ge", "gt", "le", "lt") if hasattr(m, k)}
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
        where = ".".join(str(p) for p in problem["loc"]) or "settings"
        parts.append(f"{where} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
    return "; ".join(parts) + "."
