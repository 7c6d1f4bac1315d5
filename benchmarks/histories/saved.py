"""Make the histories of Keras and TensorFlow: one model fine-tuned, each version saved four ways.

    keras               model.keras, weights alone, as one saves to predict with
    keras-optimizer     the same with AdamW's two moments, as `model.save` does if compiled
    tensorflow          a SavedModel: graph, and weights as a checkpoint without structure
    tensorflow-optimizer  `tf.train.Checkpoint`, AdamW's moments included

`keras_training` says what is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from histories.recipe import FINE_TUNING_RATE, SEED, STEPS, Recipe, versions_of
from histories.trained import VERSIONS, find_model

if TYPE_CHECKING:
    from histories.recipe import Workshop


def make_saved(workshop: Workshop) -> None:
    """Fine-tune every weight with Keras; save each version four ways."""
    import keras  # noqa: PLC0415 - group `bench`; a filled cache needs no Keras
    import tensorflow as tf  # noqa: PLC0415 - as above

    from histories.keras_training import KerasTrainer  # noqa: PLC0415 - as above

    trainer = KerasTrainer(workshop.model or find_model(), FINE_TUNING_RATE, seed=SEED)
    model = trainer.model
    for version in range(VERSIONS):
        if version:
            trainer.advance(STEPS)
        trained = workshop.path("keras-optimizer", version, ".keras")
        model.save(trained)
        plain = keras.saving.load_model(trained, compile=False)
        plain.save(workshop.path("keras", version, ".keras"))
        plain.export(workshop.path("tensorflow", version, ""), verbose=False)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        checkpoint.write(str(workshop.path("tensorflow-optimizer", version, "") / "checkpoint"))
    for history in SAVED:
        workshop.finish(
            history,
            rate=trainer.rate,
            steps=STEPS,
            losses=trainer.losses,
            **versions_of("keras", "tensorflow-cpu"),
        )


SAVED: Final = {
    "keras": Recipe("Keras, weights", "model.keras", VERSIONS, make_saved),
    "keras-optimizer": Recipe("Keras, with AdamW's state", "model.keras", VERSIONS, make_saved),
    "tensorflow": Recipe("TensorFlow, SavedModel", "saved_model", VERSIONS, make_saved),
    "tensorflow-optimizer": Recipe(
        "TensorFlow, checkpoint with AdamW's state", "checkpoint", VERSIONS, make_saved
    ),
}
