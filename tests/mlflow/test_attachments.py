"""What is attached to a trace is kept as it is in a local folder."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.artifacts import get_artifact_repository

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[Callable[[str], object]], Any]
    Outcome = Callable[[Callable[[], object]], str]

ATTACHMENT = str(uuid.UUID(int=7))


def repository(experiment: str) -> Any:
    """Return the repository of a new run of *experiment*."""
    with mlflow.start_run(experiment_id=experiment) as run:
        return get_artifact_repository(run.info.artifact_uri)


def test_attachment(tell: Tell, outcome: Outcome) -> None:
    """An attachment of a trace comes back as it was; its id cannot be a path."""

    def story(experiment: str) -> object:
        made = repository(experiment)
        made.upload_attachment(ATTACHMENT, b"\x89PNG" * 100)
        return (
            made.download_trace_attachment(ATTACHMENT),
            outcome(lambda: made.download_trace_attachment(str(uuid.UUID(int=8)))),
            outcome(lambda: made.upload_attachment("../x", b"")),
        )

    shown, missing, climbing = tell(story)

    assert shown == b"\x89PNG" * 100
    assert (missing, climbing) == ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
