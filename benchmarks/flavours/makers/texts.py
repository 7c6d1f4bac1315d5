"""spaCy: a text classifier, trained on."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import mlflow.spacy
import spacy as spacy_library
from spacy.training import Example
from version import VERSIONS, Saving, Version

from makers import docstrings

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS: Final = 10  # of each version; the first has more
FIRST_STEPS: Final = 50
BATCH: Final = 32


def spacy() -> Iterator[Version]:
    """Train which module a docstring is from; the default architecture, with its tok2vec."""
    spacy_library.util.fix_random_seed(0)
    texts = docstrings.read()
    nlp = spacy_library.blank("en")
    classifier = nlp.add_pipe("textcat")
    for label in docstrings.MODULES:
        classifier.add_label(label)
    examples = [
        Example.from_dict(
            nlp.make_doc(text),
            {"cats": {name: float(i == label) for i, name in enumerate(docstrings.MODULES)}},
        )
        for text, label in texts
    ]
    optimizer = nlp.initialize(lambda: examples)
    asked = [text for text, _ in texts[:20]]

    def scores(model: Any) -> Any:
        return [list(doc.cats.values()) for doc in model.pipe(asked)]

    drawn = random.Random(0)  # noqa: S311 - which examples a batch has is no secret
    for version in range(VERSIONS):
        for _ in range(STEPS if version else FIRST_STEPS):
            nlp.update(drawn.sample(examples, BATCH), sgd=optimizer, drop=0.1)
        yield Saving(mlflow.spacy).version(nlp, scores)
