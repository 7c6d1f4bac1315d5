"""Examples that a policy carries: what is given, and what the verdict should be.

    - name: good
      given: {candidate: {metrics: {accuracy: 0.95}}, approvals: [{by: bob, age: 1h}]}
      expect: passed
    - name: the metric is not a number
      like: good                       # all that is given there, but
      given: {candidate: {metrics: {accuracy: .nan}}}
      expect: denied
      because: [metrics.accuracy]

Times are ages before an imagined now, so that no example goes stale.

Pure: no I/O.  `govern.policies.trying` judges them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from mlflow_vault.decide.policy.durations import Duration  # noqa: TC001 - for pydantic
from mlflow_vault.decide.policy.parts import AnyNumber, Part, Plain, Several, Stage, Text


class GivenVersion(Part):
    """A version that an example makes up; `facts` are those that have no key here."""

    name: Text | None = None  # one that the policy is for
    number: int = 1
    author: str = "author"
    age: Duration = 0
    metrics: dict[str, AnyNumber] = Field(default={})
    params: dict[str, str] = Field(default={})
    tags: dict[str, str] = Field(default={})
    metadata: Plain = Field(default={})
    signature: Plain | None = None
    environment: Plain | None = None
    facts: Plain = Field(default={})


class GivenEvidence(Part):
    """A result that an example makes up."""

    type: Text
    name: Text
    age: Duration = 0
    passed: StrictBool = True
    values: Plain = Field(default={})
    of: Literal["candidate", "other_version"] = "candidate"


class GivenApproval(Part):
    """An approval, or with `rejects` the opposite, that an example makes up."""

    by: Text
    roles: Several[Text] = ()
    age: Duration = 0
    mfa: StrictBool | Literal["key"] = False
    authenticated: StrictBool = True
    rejects: StrictBool = False
    of: Literal["candidate", "other_version", "other_policy"] = "candidate"


class Given(Part):
    """All that an example makes up; what it leaves out is not known."""

    candidate: GivenVersion = GivenVersion()
    baseline: GivenVersion | None = None
    evidence: tuple[GivenEvidence, ...] = ()
    approvals: tuple[GivenApproval, ...] = ()
    stages: dict[Stage, Duration] = Field(default={})  # where it stands, and for how long
    stood: Several[Stage] = ()  # where it stood before
    verified: StrictBool | None = None
    signed: StrictBool | None = None
    checks: dict[str, StrictBool] = Field(default={})
    environment: Plain | None = None
    requester: str = ""

    def over(self, other: Given) -> Given:
        """Return what *other* gives, with what this gives beyond or instead.

        Raises:
            pydantic.ValidationError: The two make no sense together.
        """
        below = other.model_dump(exclude_unset=True)
        return Given.model_validate(_merged(below, self.model_dump(exclude_unset=True)))


class Example(Part):
    """What the policy should say of what is given; `because` names rules that do not pass."""

    name: Text
    like: Text | None = None
    given: Given = Given()
    expect: Annotated[Literal["passed", "denied", "waiting"], Field()]
    because: Several[Text] = ()


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {
        key: _merged(below[key], above[key])
        if key in below and key in above
        else above.get(key, below.get(key))
        for key in {**below, **above}
    }
