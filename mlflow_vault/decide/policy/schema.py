"""What a policy may say: one model for YAML, for Python and for editors.

    metadata, transition, mode, baseline    which versions, from where to where, how strictly
    metrics, require, signature, environment, integrity, evidence, checks, approvals, soak
                                            the rules
    health, on_failure                      what a promoted version must go on being like, and
                                            what is done when it is not
    examples                                what the policy should say of made-up versions

Unknown keys are refused: a misspelt rule would be no rule.  A policy never changes.  Its digest is
over its canonical JSON without what is left at its default, so that old policies keep theirs when
a release knows more keys, and without examples, which decide nothing.

Pure: no I/O.  Written down in docs/policies.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, Field, StrictBool, field_validator, model_validator

from mlflow_vault.decide.policy.durations import Duration  # noqa: TC001 - for pydantic
from mlflow_vault.decide.policy.given import Example  # noqa: TC001 - for pydantic
from mlflow_vault.decide.policy.health.schema import Health  # noqa: TC001 - for pydantic
from mlflow_vault.decide.policy.parts import Number, Part, Plain, Several, Stage, Text
from mlflow_vault.decide.policy.vocabulary import read_condition
from mlflow_vault.format.canonical import plain, spell
from mlflow_vault.format.digest import Digest

LEVELS: Final = ("exact", "minor", "major", "ignore")
Level = Literal["exact", "minor", "major", "ignore"]
Name = Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Mode = Literal["enforce", "warn", "dry_run"]


def _readable(condition: str) -> str:
    read_condition(condition)
    return condition


Condition = Annotated[Text, AfterValidator(_readable)]


def _keyword(name: str, default: Any = ...) -> Any:
    """Return a field whose name is a word of Python's, and so ends with ``_`` there."""
    return Field(default, validation_alias=name, serialization_alias=name)


class Metadata(Part):
    """What the policy is called, and the registered models that it is for."""

    name: Name
    models: Several[Text] = ("*",)
    description: Text = ""


class Transition(Part):
    """From which stages to which one; without `from` from any.

    With `automatic`, ``mlflow-vault promote --auto`` moves what passes without being asked for it.
    """

    from_: Several[Stage] = _keyword("from", ())
    to: Literal["staging", "production", "archived"]
    kind: Literal["promotion", "archival", "rollback"] = "promotion"
    automatic: StrictBool = False

    @model_validator(mode="before")
    @classmethod
    def _archive(cls, given: Any) -> Any:
        """Call what goes to the archive so."""
        if isinstance(given, dict) and given.get("to") == "archived":
            return {"kind": "archival", **given}
        return given

    @model_validator(mode="after")
    def _agree(self) -> Transition:
        if (self.kind == "archival") is not (self.to == "archived"):
            raise ValueError(f"a transition to {self.to} is no {self.kind}")
        if self.automatic and self.kind == "rollback":
            raise ValueError("rolling back by itself is what health and on_failure are for")
        return self


class Threshold(Part):
    """What a metric has to reach, in the words of `mlflow.models.MetricThreshold`."""

    threshold: Number | None = None
    min_absolute_change: Annotated[Number, Field(gt=0)] | None = None
    min_relative_change: Annotated[Number, Field(ge=0, le=1)] | None = None
    greater_is_better: StrictBool

    @model_validator(mode="after")
    def _something(self) -> Threshold:
        if self.threshold is None and not self.compares:
            raise ValueError("say threshold, min_absolute_change or min_relative_change")
        return self

    @property
    def compares(self) -> bool:
        """Whether it asks for the baseline."""
        return self.min_absolute_change is not None or self.min_relative_change is not None


class Signature(Part):
    """Which parts of the model's signature have to be compatible with the baseline's."""

    inputs: StrictBool = True
    outputs: StrictBool = True
    params: StrictBool = True


class Environment(Part):
    """How close what the candidate was made with has to be to what production has.

    `packages` says it for each package, by level or as pip has it (``>=2.4,<3``); ``*`` stands for
    all others that both have.  `production` is what production has, unless it was measured.
    """

    python: Level = "minor"
    packages: dict[str, Text] = Field(default={"*": "major"})
    hardware: Several[Literal["cpu", "gpus", "memory", "platform"]] = ()
    production: Plain | None = None

    @field_validator("packages")
    @classmethod
    def _levels(cls, given: dict[str, str]) -> dict[str, str]:
        for name, wanted in given.items():
            if wanted in LEVELS:
                continue
            try:
                SpecifierSet(wanted)
            except InvalidSpecifier as cause:
                raise ValueError(
                    f"{name}: expected {', '.join(LEVELS)} or versions such as '>=2.4,<3', "
                    f"got {wanted!r}"
                ) from cause
        return given


class Integrity(Part):
    """Whether the bytes have to be verified, and signed by somebody who is trusted."""

    verified: StrictBool = True
    signed: StrictBool = False


class Wanted(Part):
    """Evidence that has to be there, of the candidate's own digest; the latest counts."""

    type: Text
    name: Text
    max_age: Duration | None = None


class Check(Part):
    """A Python function that is asked, in a process of its own: ``package.module:function``."""

    python: Annotated[Text, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
    args: Plain = Field(default={})
    timeout: Annotated[Duration, Field(gt=0, le=3_600_000)] = 60_000

    @property
    def key(self) -> str:
        """What names this check and its arguments, for what it answered."""
        return f"{self.python} {spell(plain(self.args)).decode()}" if self.args else self.python


class Approvals(Part):
    """How many people have to agree, and who counts; its author never does."""

    min: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    roles: Several[Text] = ()
    not_: Several[Literal["author", "requester"]] = _keyword("not", ("author",))
    expires: Annotated[Duration, Field(gt=0)] | None = None
    mfa: StrictBool | Literal["key"] = False


class Soak(Part):
    """How long the candidate has to have stood in a stage."""

    in_: Literal["staging", "production", "archived"] = _keyword("in", "staging")
    for_: Duration = _keyword("for")


class OnFailure(Part):
    """What is done when a promoted version turns out to be bad."""

    rollback_to: Literal["last_healthy"] | None = None
    alert: Several[Literal["slack", "webhook", "email"]] = ()


class Policy(Part):
    """Conditions of a transition."""

    api_version: Literal["mlflow-vault/v1"] = Field(
        "mlflow-vault/v1", validation_alias="apiVersion", serialization_alias="apiVersion"
    )
    kind: Literal["PromotionPolicy"] = "PromotionPolicy"
    metadata: Metadata
    mode: Mode = "enforce"
    transition: Transition
    baseline: Annotated[Text, Field(pattern=r"^(@[\w.-]+|models:/.+|b3:[0-9a-f]{64})$")] | None = (
        None
    )
    without_baseline: Literal["deny", "skip"] = "deny"
    metrics: dict[str, Threshold] = Field(default={})
    require: Several[Condition] = ()
    signature: Signature | None = None
    environment: Environment | None = None
    integrity: Integrity | None = None
    evidence: tuple[Wanted, ...] = ()
    checks: tuple[Check, ...] = ()
    approvals: Approvals | None = None
    soak: Soak | None = None
    health: Health | None = None
    on_failure: OnFailure | None = None
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _watched(self) -> Policy:
        if self.health is not None and self.transition.kind != "promotion":
            raise ValueError("health is watched where a promotion leads: in staging or production")
        back = self.on_failure is not None and self.on_failure.rollback_to is not None
        if self.health is not None and back and self.transition.to != "production":
            raise ValueError("only production is rolled back: leave rollback_to out")
        return self

    @model_validator(mode="after")
    def _known_examples(self) -> Policy:
        names: list[str] = []
        for example in self.examples:
            if example.name in names:
                raise ValueError(f"two examples are called {example.name!r}")
            if example.like is not None and example.like not in names:
                raise ValueError(
                    f"the example {example.name!r} is like {example.like!r}, which is not above it"
                )
            names.append(example.name)
        return self

    @property
    def name(self) -> str:
        """What it is called."""
        return self.metadata.name

    @property
    def digest(self) -> Digest:
        """The name of what it decides; approvals are given under it."""
        return Digest.of(self.canonical())

    def canonical(self) -> bytes:
        """Return what the digest is of: JSON that has one spelling."""
        told = self.model_dump(
            mode="json", by_alias=True, exclude_defaults=True, exclude={"examples"}
        )
        return spell(plain({"apiVersion": self.api_version, "kind": self.kind} | told))

    def to_dict(self) -> dict[str, Any]:
        """This policy as plain values, as it is written in YAML."""
        told = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {"apiVersion": self.api_version, "kind": self.kind} | told


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of policies, for editors."""
    found = Policy.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "PromotionPolicy",
    }
