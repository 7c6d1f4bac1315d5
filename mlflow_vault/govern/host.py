"""What governance asks of MLflow, as a protocol.

`plugin.host` keeps it with MLflow's client; the nameplate brings both together.  So nothing here
imports MLflow, and whoever has another registry can keep the same promise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mlflow_vault.decide.policy.health.judge import Sample

DIGEST_TAG: Final = "mlflow_vault.digest"  # of a model version: its version in a vault
REQUIRED_TAG: Final = "mlflow_vault.required_metadata"  # of a registered model
GOVERNED_TAG: Final = (
    "mlflow_vault.governed"  # of a registered model: "true" if its registry decides
)
ASK_TAG: Final = "mlflow_vault.ask."  # and a verb, of a model version: a request, never stored


@dataclass(frozen=True, slots=True)
class Held:
    """What a reference of MLflow's stands for.

    Attributes:
        uri: The reference.
        location: Where MLflow says that the artifacts are: any scheme; ``models:/...`` where
            that has to be asked for, with `Host.located`.
        name: The registered model; empty if the reference is of none.
        number: The number of its version; 0 if there is none.
        model_id: The logged model, ``m-...``; empty if there is none.
        run_id: The run; empty if there is none.
        experiment_id: The experiment of either.
        digest: What the tag ``mlflow_vault.digest`` of the model version says; empty if none.
        created: Milliseconds since 1970; 0 where MLflow does not say.
        author: The user MLflow has; empty if it has none.
        aliases: Of the model version.
        tags: Of the model version.
    """

    uri: str
    location: str
    name: str = ""
    number: int = 0
    model_id: str = ""
    run_id: str = ""
    experiment_id: str = ""
    digest: str = ""
    created: int = 0
    author: str = ""
    aliases: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


class Host(Protocol):
    """The registry and the tracking server that a vault is used with."""

    @property
    def uri(self) -> str:
        """Where it is, without secrets."""

    def default_location(self) -> str:
        """Where MLflow's default experiment keeps its artifacts."""

    def resolve(self, reference: str) -> Held:
        """Return what *reference* stands for.

        Args:
            reference: ``models:/name/3``, ``models:/name@alias``, ``models:/name/latest``,
                ``models:/m-...``, ``runs:/<run>/<path>``, or a location.

        Raises:
            NotFoundError: There is no such thing.
            InvalidInputError: It is no reference.
        """

    def registered(self, name: str = "") -> Iterator[Held]:
        """Yield every model version, prompts excluded; of one model if *name* is given.

        There may be a hundred thousand, so nothing is asked for each: see `located`.
        """

    def located(self, held: Held) -> Held:
        """Return what `registered` yielded with the location of its files, and its experiment."""

    def register(self, name: str, held: Held) -> Held:
        """Make a model version of *held*, and the registered model if there is none."""

    def unregister(self, held: Held) -> None:
        """Take back the model version that `register` made."""

    def tag(self, held: Held, tags: Mapping[str, str]) -> None:
        """Set *tags* of a model version."""

    def untag(self, held: Held, keys: Iterable[str]) -> None:
        """Take the tags *keys* of a model version away, those that it has."""

    def aliases(self, name: str) -> dict[str, int]:
        """Return which version each alias of a registered model points at."""

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Let an alias of a registered model point at a version of it.

        Raises:
            NotFoundError: There is no such version.
        """

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias of a registered model away, if there is one."""

    def governs(self, name: str) -> bool:
        """Whether the registry itself decides which version of a model may stand where.

        Then it refuses what moves a version, and is asked to do so (`ask`).
        """

    def ask(self, name: str, number: int, verb: str, body: Mapping[str, Any]) -> None:
        """Ask a registry that governs a model to do something with a version of it.

        Args:
            name: The registered model.
            number: Of its version.
            verb: ``promote``, ``approve``, ``reject``, ``evidence``, ``archive``, ``rollback``.
            body: The arguments of the verb, as JSON.

        Raises:
            DeniedError: It refuses; the message is what it says.
        """

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model; none if there is no such model."""

    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """Set *tags* of a registered model, which is made if there is none."""

    def metric(self, key: str, held: Held, experiment: str = "", runs: str = "") -> Sample:
        """Return the latest value of a metric, and when it was logged; or why there is none.

        Args:
            key: Its name.
            held: The version that it is of.
            experiment: The name of an experiment, if it is of its runs instead.
            runs: A filter of MLflow's for those.

        Raises:
            InvalidInputError: The filter is none.
        """

    def facts(self, held: Held, artifact: Callable[[str], bytes | None]) -> dict[str, Any]:
        """Return what MLflow knows of how *held* was made; docs/format.md, "Facts".

        Args:
            held: What is committed.
            artifact: Returns a small file of it by its path, None if there is none.
        """


_makers: list[Callable[[], Host]] = []


def attach(make: Callable[[], Host]) -> None:
    """Say how the MLflow of this process is reached; the last word counts."""
    _makers[:] = [make]


def attached() -> Host:
    """Return the MLflow of this process.

    Raises:
        InvalidInputError: Nobody said what it is.
    """
    if not _makers:
        raise InvalidInputError(
            "this needs MLflow's registry, and none is attached: import mlflow_vault and use "
            "mlflow_vault.Vault"
        )
    return _makers[0]()
