"""What a history is, how it is made and where it is kept.

Versions stay in a cache, `<history>/v0.safetensors` and so on; a version may be a folder.  A
history is complete when its `history.json` is there, which also says with what it was made.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SEED: Final = 20_260
STEPS: Final = 50  # of the optimizer between two versions
FINE_TUNING_RATE: Final = 2e-5
DEFAULT_CACHE: Final = Path(__file__).parents[1] / ".cache" / "histories"
NOTE: Final = "history.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a history is called, how many versions it has and which function makes it."""

    title: str
    file_name: str  # what each version is called when it is logged; a folder has no suffix
    versions: int
    make: Callable[[Workshop], None]


@dataclass(frozen=True, slots=True)
class History:
    """Versions of one file or folder, oldest first, and with what they were made."""

    name: str
    recipe: Recipe
    paths: tuple[Path, ...]
    made: dict[str, Any]

    @property
    def sizes(self) -> list[int]:
        """Bytes of each version."""
        return [sum(part.stat().st_size for part in files(path)) for path in self.paths]

    @property
    def raw_bytes(self) -> int:
        """Bytes of all versions together."""
        return sum(self.sizes)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where histories are made, and from which pretrained model."""

    cache: Path
    model: Path | None = None

    def path(self, history: str, version: int, suffix: str) -> Path:
        """Return where *version* of *history* lies; its folder is there."""
        folder = self.cache / history
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"v{version}{suffix}"

    def finish(self, history: str, **made: object) -> None:
        """Say that *history* is complete, and what it was made with."""
        note = self.cache / history / NOTE
        part = note.with_suffix(".part")
        part.write_text(json.dumps({"seed": SEED, **made}) + "\n", encoding="utf-8")
        part.replace(note)


def files(path: Path) -> list[Path]:
    """Return *path* if it is a file, else every file below it, sorted."""
    return [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())


def versions_of(*packages: str) -> dict[str, str]:
    """Return with what a history is made: Python and *packages*."""
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}
