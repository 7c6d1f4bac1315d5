"""Make the histories of a wider BERT: versions too large to be over before anything warms up.

No pretrained model of this size comes with a package, so one is trained from random weights;
then it is fine-tuned, at the rate of the other histories, in fewer and smaller steps:

    random weights --25 steps--> v0 --25 steps--> v1 --25--> v2      saved as fp32, bf16
                      1e-4            2e-5            2e-5

`large` takes about 1 GB as fp32, `medium` a third of it for machines with less of everything.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Final

from histories.recipe import FINE_TUNING_RATE, SEED, Recipe, versions_of
from histories.trained import SCRATCH_RATE, find_model

if TYPE_CHECKING:
    from histories.recipe import Workshop

SIZES: Final = {"medium": (768, 8), "large": (1536, 7)}  # width and number of layers
KINDS: Final = ("fp32", "bf16")
VERSIONS: Final = 3
STEPS: Final = 25


def make_wide(workshop: Workshop, size: str) -> None:
    """Train a model of *size*; save each version as fp32 and bf16."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a folder is all it needs
    from histories.training import Shape, Trainer  # noqa: PLC0415 - a filled cache needs no torch

    hidden, layers = SIZES[size]
    folder = workshop.model or find_model()
    trainer = Trainer(folder, SCRATCH_RATE, seed=SEED, shape=Shape(hidden, layers))
    for version in range(VERSIONS):
        trainer.advance(STEPS)
        for kind in KINDS:
            trainer.save_model(workshop.path(f"{size}-{kind}", version, ".safetensors"), kind)
        if version == 0:
            trainer.restart(FINE_TUNING_RATE)
    made = {"rate": trainer.rate, "steps": STEPS, "losses": trainer.losses}
    for kind in KINDS:
        workshop.finish(f"{size}-{kind}", **made, **versions_of("torch", "transformers"))


WIDE: Final = {
    f"{size}-{kind}": Recipe(
        f"{size}, fine-tuned, {kind}", "model.safetensors", VERSIONS, partial(make_wide, size=size)
    )
    for size in SIZES
    for kind in KINDS
}
