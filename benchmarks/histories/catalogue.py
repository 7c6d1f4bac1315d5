"""Every history by its name, made when it is first asked for.

`RECIPES` are those whose stored bytes are reported; `speed` asks for the wide ones besides.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from histories.converted import CONVERTED
from histories.recipe import NOTE, History
from histories.saved import SAVED
from histories.trained import TRAINED
from histories.wide import WIDE

if TYPE_CHECKING:
    from histories.recipe import Workshop

# By the report that they stand in: how weights are trained, how they are written.
REPORTS: Final = {"stored-bytes": TRAINED, "formats": CONVERTED | SAVED}
RECIPES: Final = TRAINED | CONVERTED | SAVED


def ensure(name: str, workshop: Workshop) -> History:
    """Return the history *name*, made now unless the workshop's cache holds it already."""
    recipe = (RECIPES | WIDE)[name]
    note = workshop.cache / name / NOTE
    if not note.exists():
        print(f"making {name}", flush=True)
        started = time.monotonic()
        recipe.make(workshop)
        print(f"made {name} in {time.monotonic() - started:.0f} s", flush=True)
    suffix = Path(recipe.file_name).suffix
    paths = tuple(workshop.path(name, number, suffix) for number in range(recipe.versions))
    return History(name, recipe, paths, json.loads(note.read_text(encoding="utf-8")))
