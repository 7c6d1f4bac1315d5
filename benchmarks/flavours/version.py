"""What a maker makes: a model, ready to be logged, and what it must say after it came back.

Makers yield one `Version` after another and may go on training the same object in between, so
the answer is taken at once and the logging happens before the next one is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

VERSIONS: Final = 3

# MLflow finds out what a model needs by loading it in another process, once a version.  Said
# here instead, it is what MLflow would have written but for the packages' versions.
REQUIREMENTS: Final = ("mlflow",)


@dataclass(frozen=True, slots=True)
class Version:
    """A model after one more stretch of training.

    Attributes:
        log: Logs it into the run that is under way, and returns what MLflow said of it.
        load: Loads it by its URI.
        ask: What the model says to questions that never change; takes the model.
        answer: What it said before it was logged.
        own: The artifact path in the run, where MLflow makes no logged model of it.
    """

    log: Callable[[], Any]
    load: Callable[[str], Any]
    ask: Callable[[Any], Any]
    answer: Any
    own: str = ""


def agree(one: Any, other: Any) -> bool:
    """Whether two answers are exactly the same."""
    if isinstance(one, str):
        return bool(one == other)
    return np.array_equal(np.asarray(one), np.asarray(other))


@dataclass(frozen=True, slots=True)
class Saving:
    """How a flavour saves.

    Attributes:
        flavour: The module of MLflow: ``mlflow.sklearn`` and so on.
        options: What `log_model` is told beside the model and its name.
    """

    flavour: Any
    options: dict[str, Any] = field(default_factory=dict)

    def version(self, model: Any, ask: Callable[[Any], Any]) -> Version:
        """Make a version of *model* as it is now."""
        settings = {"pip_requirements": list(REQUIREMENTS), **self.options}
        return Version(
            log=partial(self.flavour.log_model, model, name="model", **settings),
            load=self.flavour.load_model,
            ask=ask,
            answer=ask(model),
        )
