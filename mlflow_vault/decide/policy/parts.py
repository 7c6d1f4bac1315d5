"""What all parts of a policy share: they are frozen, and know no keys but their own.

Pure: no I/O.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LONGEST: Final = 4_000  # characters of one text
_DEEPEST: Final = 20
_T = TypeVar("_T")

Stage = Literal["none", "staging", "production", "archived"]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
AnyNumber = Annotated[float, Field(strict=True)]  # NaN and infinity too, in examples


class Part(BaseModel):
    """A part of a policy."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _either(schema: dict[str, Any]) -> None:
    """Say to editors that one value need not be written as a list."""
    several = {key: schema.pop(key) for key in ("type", "items") if key in schema}
    schema["anyOf"] = [several.get("items", {}), several]


def _json(value: object, depth: int = 0) -> object:
    if depth > _DEEPEST:
        raise ValueError("values are nested too deeply")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("keys are text")
        return {key: _json(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"expected a value as JSON has them, got {type(value).__name__}")


# A tuple that may be written as one text.
Several = Annotated[tuple[_T, ...], BeforeValidator(_listed), Field(json_schema_extra=_either)]
# What JSON can say, numbers that it lacks as text.
Plain = Annotated[dict[str, Any], AfterValidator(_json)]
