"""What a signed approval says: an in-toto statement about one version.

    subject        the version: model/number, and its digest
    predicate      verdict, actor, policies, transition, time, nonce, reason, vault

    {"_type":"https://in-toto.io/Statement/v1","predicate":{"actor":"bob","nonce":"...",
     "policies":["b3:..."],"reason":"","time":1764000000000,"transition":{"to":"production"},
     "vault":"...","verdict":"approve"},"predicateType":"urn:mlflow-vault:approval:v1",
     "subject":[{"digest":{"blake3":"..."},"name":"credit/3"}]}

Pure: no I/O, no cryptography.  Written down in docs/policies.md, "Second factors".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import fields
from mlflow_vault.format.canonical import spell
from mlflow_vault.format.digest import Digest, from_hex
from mlflow_vault.format.stored_json import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.format.version import Version

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "urn:mlflow-vault:approval:v1"
_LONGEST: Final = 4_000  # characters of a reason
_VERDICTS: Final = ("approve", "reject")
_FIELDS: Final = frozenset(("_type", "subject", "predicateType", "predicate"))
_PREDICATE: Final = frozenset(
    ("actor", "nonce", "policies", "reason", "time", "transition", "vault", "verdict")
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody approves or rejects.

    Attributes:
        vault: The id of the vault.
        model: The registered model.
        number: The model version's.
        digest: Of the version.
        to: The stage that it is to move to.
        policies: The digests of the policies that ask for it; they say how it may move there.
    """

    vault: str
    model: str
    number: int
    digest: Digest
    to: str
    policies: tuple[str, ...] = ()

    @classmethod
    def of(cls, vault: str, version: Version, policies: Iterable[Policy]) -> Proposal:
        """Return what *policies* ask about *version*.

        Raises:
            InvalidInputError: There are none, or they lead to several stages.
        """
        asked = {str(one.digest): one.transition.to for one in policies}
        if len(stages := set(asked.values())) != 1:
            raise InvalidInputError(
                f"{version.label} is approved under policies that lead to one stage, not to "
                f"{sorted(stages)}"
            )
        (to,) = stages
        digests = tuple(sorted(asked))
        return cls(vault, version.name, version.number, version.digest, to, digests)

    @property
    def label(self) -> str:
        """What people call the version."""
        return f"{self.model}/{self.number}"


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says to a proposal.

    Attributes:
        actor: Who, as the roles call them.
        time: When, in milliseconds since 1970.
        nonce: Random, 32 hexadecimal digits.
        rejects: It is a no.
        reason: Why, in words.
    """

    actor: str
    time: int
    nonce: str
    rejects: bool = False
    reason: str = ""


def spell_approval(proposal: Proposal, said: Said) -> bytes:
    """Spell what is signed.

    Raises:
        InvalidInputError: It says what nobody would read: no actor, a reason that is too long.
    """
    try:
        payload = spell(_payload(proposal, said))
        same = parse_approval(payload) == (proposal, said)
    except (TypeError, ValueError) as cause:
        raise InvalidInputError(f"this approval cannot be signed: {cause}") from cause
    if not same:
        raise InvalidInputError(f"this approval cannot be signed: {proposal.label} reads otherwise")
    return payload


def parse_approval(payload: bytes) -> tuple[Proposal, Said]:
    """Undo `spell_approval`, believing nothing.

    Raises:
        InvalidInputError: It says something else.
    """
    try:
        return _parsed(payload)
    except (AttributeError, LookupError, TypeError, ValueError) as cause:
        raise InvalidInputError(f"it is no signed approval: {cause!s:.200}") from cause


def _payload(proposal: Proposal, said: Said) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [{"name": proposal.label, "digest": {"blake3": proposal.digest.raw.hex()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "verdict": _VERDICTS[said.rejects],
            "actor": said.actor,
            "policies": list(proposal.policies),
            "transition": {"to": proposal.to},
            "time": said.time,
            "nonce": said.nonce,
            "reason": said.reason,
            "vault": proposal.vault,
        },
    }


def _parsed(payload: bytes) -> tuple[Proposal, Said]:
    """Read what is signed, believing nothing."""
    body = fields.mapping(read_json(payload))
    if body.keys() != _FIELDS or body["_type"] != STATEMENT:
        raise ValueError("it is no in-toto statement")
    if body["predicateType"] != PREDICATE:
        raise ValueError(f"its predicate is not {PREDICATE}")
    (subject,) = body["subject"]
    predicate, transition = body["predicate"], body["predicate"]["transition"]
    if subject.keys() != {"name", "digest"} or subject["digest"].keys() != {"blake3"}:
        raise ValueError("its subject is no version")
    if predicate.keys() != _PREDICATE or transition.keys() != {"to"}:
        raise ValueError("the fields of its predicate are other ones")
    model, _, number = fields.text(subject["name"]).rpartition("/")
    if not model or not number.isdecimal() or str(int(number)) != number:
        raise ValueError("its subject is not called model/number")
    proposal = Proposal(
        vault=fields.text(predicate["vault"]),
        model=model,
        number=int(number),
        digest=Digest(from_hex(fields.text(subject["digest"]["blake3"]))),
        to=fields.text(transition["to"]),
        policies=fields.texts(predicate["policies"]),
    )
    said = Said(
        actor=fields.text(predicate["actor"]),
        time=fields.time(predicate["time"]),
        nonce=fields.nonce(predicate["nonce"]),
        rejects=bool(_VERDICTS.index(predicate["verdict"])),
        reason=fields.text(predicate["reason"]),
    )
    if not said.actor:
        raise ValueError("it does not say who")
    if len(said.reason) > _LONGEST:
        raise ValueError(f"its reason has more than {_LONGEST} characters")
    return proposal, said
