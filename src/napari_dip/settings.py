"""Every method's settings: the one place where a default, its unit, its bounds and its help text stand.

A settings object IS the choice of method and of all its knobs. The dock's form, the command line's flags, the table in
the docs and the provenance record are read off these classes; `knobs` gives them to whoever builds such a thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


def knob(default: Any, help_text: str, *, unit: str = "", basic: bool = False, **bounds: Any) -> Any:
    """Declare one setting: default, help, unit, whether it shows unfolded, and pydantic's bounds."""
    return Field(default, description=help_text, json_schema_extra={"unit": unit, "basic": basic}, **bounds)


class Settings(BaseModel):
    """What all methods' settings share: frozen, validated, no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: ClassVar[str]
    title: ClassVar[str]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]

    steps: int
    seed: int = knob(0, "Seed of every random draw: same seed and device, same pixels.", ge=0, le=2**31 - 1, basic=True)

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

    The preset ``fast`` (the default) looks at the image through a blind spot; ``paper`` is the fit as published, with a
    rule that only chooses among its iterates.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925.
    """

    method: ClassVar[str] = "dip"
    title: ClassVar[str] = "Deep Image Prior"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {},
        "paper": {
            "net": "skip",
            "steps": 3000,
            "learning_rate": 0.01,
            "schedule": "constant",
            "stabilise": False,
            "stop": "variance",
            "patience": 1000,
            "held_out_share": 0.0,
            "averaging": 0.99,
            "channels": 128,
        },
    }

    steps: int = knob(
        800,
        "Steps of Adam at most; the stopping rule may end the fit earlier.",
        unit="steps",
        ge=1,
        le=1_000_000,
        basic=True,
    )
    net: Literal["blind-spot", "skip"] = knob(
        "blind-spot",
        "Network: blind-spot sees the image around each pixel; skip is the published one and sees noise.",
    )
    stop: Literal["held-out", "variance", "never"] = knob(
        "held-out",
        "What chooses the step: the error on hidden pixels, the moving variance of outputs (skip only), or nothing.",
        basic=True,
    )
    patience: int = knob(300, "Steps without improvement before the fit ends.", unit="steps", ge=1)
    held_out_share: float = knob(0.05, "Share of the pixels hidden from the loss.", ge=0, le=0.5)
    stabilise: bool = knob(True, "Make Poisson-Gaussian noise even before the fit, undone afterwards without bias.")
    learning_rate: float = knob(0.004, "Learning rate of Adam.", gt=0, le=1)
    schedule: Literal["constant", "linear"] = knob(
        "linear", "Learning rate over the steps: constant, or flat to the half and then down to 0."
    )
    averaging: float = knob(
        0.98,
        "Weight of the past in the exponential average of weights (blind-spot) or outputs (skip).",
        ge=0,
        lt=1,
    )
    channels: int = knob(32, "Width of the network.", unit="channels", ge=1, le=1024)
    layers: int = knob(4, "Dilated layers of the blind-spot network: it sees 1 + 2 x layers pixels far.", ge=0, le=64)
    crop: int = knob(32, "Side of the square crops that the blind-spot network is fitted to.", unit="pixels", ge=8)
    batch: int = knob(4, "Crops a step for the blind-spot network.", ge=1, le=1024)
    scales: int = knob(5, "Scales of the skip network.", ge=1, le=8)
    skip_channels: int = knob(4, "Channels of each skip connection of the skip network.", ge=1, le=1024)
    input_channels: int = knob(32, "Channels of the random input z of the skip network.", ge=1, le=1024)
    jitter: float = knob(1 / 30, "Standard deviation of the noise that shakes z in every step (skip).", ge=0, le=10)
    backtrack: bool = knob(True, "Go back 50 steps when the fit gets suddenly worse (skip).")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.stop == "variance" and self.net != "skip":
            raise ValueError(
                "stop 'variance' watches every output of the skip network; take net 'skip' or stop 'held-out'"
            )
        if self.stop == "held-out" and self.held_out_share == 0:
            raise ValueError(
                "stop 'held-out' needs hidden pixels; give held_out_share a value above 0 or take stop 'never'"
            )
        return self


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
        words = problem["msg"].removeprefix("Value error, ")
        where = ".".join(str(p) for p in problem["loc"])
        parts.append(f"{where} = {problem['input']!r}: {words[0].lower()}{words[1:]}" if where else words)
    return "; ".join(parts) + "."
