"""Verifies a bundle: recomputes all that it says, from its bytes and the keys that are trusted.

    1  checkpoint   signed by a trusted key of the audit log
    2  entry        in the log that the checkpoint tells of
    3  decision     its digest is what the entry says, and so is all else in the entry
    4  version      the files make the digest that the decision moved
    5  files        on a disk, if there are some: they are these
    6  signature    of the version, by whose key is trusted
    7  policy       each document makes the digest that its verdict names
    8  verdict      each adds up; the summaries say the same
    9  people       approvals and evidence, judged again

A bundle may come from anyone.  Nothing here asks a vault, MLflow or a network, and nothing is read
but the files that are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.public_keys import read_public_key
from mlflow_vault.decide.policy.schema import Policy
from mlflow_vault.decide.policy.verdict import State, joined
from mlflow_vault.errors import CorruptionError, InvalidInputError, NotFoundError, UntrustedError
from mlflow_vault.format import fields
from mlflow_vault.format.canonical import read
from mlflow_vault.format.checkpoint import PublicKey
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action
from mlflow_vault.govern.bundle.again import Question
from mlflow_vault.govern.bundle.bundle import Bundle
from mlflow_vault.govern.bundle.chain import follow, read_decision, read_statement
from mlflow_vault.govern.bundle.claims import Claim, Proof, Standing
from mlflow_vault.govern.bundle.files import differences
from mlflow_vault.govern.bundle.people import Said, judge_people
from mlflow_vault.govern.bundle.summaries import summaries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mlflow_vault.decide.policy.public_keys import PublicKey as ApproverKey
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.signing.trust import Trust

_NAMED: Final = 5  # of what a message lists


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whom whoever verifies believes; all of it comes from elsewhere than the bundle.

    Attributes:
        log_keys: Who may sign checkpoints of the audit log.
        models: Who may sign models; None if nobody asks for that.
        approvers: Public keys by user; empty if nobody asks who signed approvals.
        policies: Digests of policies that have to have been asked.
    """

    log_keys: tuple[PublicKey, ...]
    models: Trust | None = None
    approvers: Mapping[str, Sequence[ApproverKey]] = field(default_factory=dict, hash=False)
    policies: tuple[str, ...] = ()


def verify_bundle(  # noqa: PLR0913 - each is something else to bring
    bundle: Bundle | bytes,
    log_keys: Iterable[PublicKey | str],
    *,
    trust: Trust | None = None,
    approvers: Mapping[str, Sequence[str]] | None = None,
    files: Path | None = None,
    policies: Iterable[str] = (),
) -> Proof:
    """Say what a bundle proves.

    Args:
        bundle: The bytes of the file, or what `Vault.bundle` returned.
        log_keys: Who may sign checkpoints: ``name+id+key``.
        trust: Whose signatures of models count: `mlflow_vault.Trust.from_files("public.pem")`.
        approvers: Whose signatures of approvals count: public keys in PEM, by user.
        files: The model's files, to be compared.
        policies: Digests of policies that have to have been asked, ``b3:...``; which ones were is
            otherwise what the decision says.

    Raises:
        InvalidInputError: A key is none.
        NotFoundError: There is no folder *files*.

    Example:
        >>> print(verify_bundle(b"[]", []))
        false   bundle: it is no bundle (list where an object should be)
        the bundle is false
    """
    if files is not None and not files.is_dir():
        raise NotFoundError(f"there is no folder {files}")
    keys = tuple(PublicKey.parse(key) if isinstance(key, str) else key for key in log_keys)
    trusted = Trusted(keys, trust, _approver_keys(approvers or {}), tuple(policies))
    try:
        found = bundle if isinstance(bundle, Bundle) else Bundle.from_bytes(bundle)
        decision = read_decision(found.decision)
        return Proof(tuple(_claims(found, decision, trusted, files)), decision)
    except CorruptionError as error:
        return Proof((Claim("bundle", Standing.FALSE, error.reason),))


def _approver_keys(given: Mapping[str, Sequence[str]]) -> dict[str, tuple[ApproverKey, ...]]:
    try:
        return {user: tuple(map(read_public_key, keys)) for user, keys in given.items()}
    except ValueError as cause:
        raise InvalidInputError(f"an approver's key cannot be read: {cause}") from cause


def _claims(
    bundle: Bundle, decision: Decision, trusted: Trusted, files: Path | None
) -> Iterator[Claim]:
    chain = follow(bundle.log, decision, bundle.files, trusted.log_keys)
    yield from chain.claims
    told = None if files is None else differences(bundle.files, files)
    if told:
        yield Claim("files", Standing.FALSE, "; ".join(told[:_NAMED]))
    elif told is not None and chain.version is not None:
        yield Claim("files", chain.worth, f"{files} holds these files and no others")
    yield _signature_claim(bundle, chain.version, trusted, rehashed=told == [])
    yield from _policy_claims(bundle, decision, trusted, chain.worth)


def _policy_claims(
    bundle: Bundle, decision: Decision, trusted: Trusted, worth: Standing
) -> Iterator[Claim]:
    statements = tuple(map(read_statement, bundle.statements))
    if strange := [one for one in statements if not _concerns(one, decision)]:
        yield Claim("statements", Standing.FALSE, f"{strange[0]!r} is about something else")
    policies = {str(Digest.of(text.encode())): text for text in bundle.policies}
    if odd := sorted(policies.keys() - {*map(_asked_by, decision.verdicts)}):
        yield Claim("policies", Standing.FALSE, f"nothing was judged by {odd[0]}")
    said = Said(decision, statements, trusted.approvers, worth)
    for verdict in decision.verdicts:
        name, digest = str(verdict.get("policy")), _asked_by(verdict)
        policy = _policy(policies.get(digest))
        if digest not in policies:
            yield Claim(f"policy {name}", Standing.MISSING, f"{digest} is not in the bundle")
        elif policy is None or policy.name != name:
            yield Claim(f"policy {name}", Standing.FALSE, "its document is no policy of this name")
        else:
            yield Claim(f"policy {name}", worth, f"{digest} is what it was judged by")
        question = Question.of(policy, verdict, decision) if policy is not None else None
        yield _verdict_claim(f"verdict {name}", verdict, decision, (policy, question))
        if question is not None:
            yield from judge_people(question, said)
        elif policy is not None and policy.approvals is not None:
            text = "the verdict does not tell who approved, as this release reads it"
            yield Claim(f"approvals {name}", Standing.MISSING, text)
    yield from _asked_claims(decision, trusted, worth)
    inputs = [(one.key, str(one.record)) for one in statements]
    if bundle.summaries != summaries(decision, policies, inputs):
        yield Claim("summaries", Standing.FALSE, "they do not say what the decision says")


def _asked_claims(decision: Decision, trusted: Trusted, worth: Standing) -> Iterator[Claim]:
    if not decision.verdicts:
        lacks = decision.action == Action.PROMOTE  # which needs a policy
        yield Claim("verdict", Standing.MISSING if lacks else Standing.TOLD, "no policy was asked")
    asked = {_asked_by(one) for one in decision.verdicts if one.get("mode") == "enforce"}
    for digest in trusted.policies:
        told = "was asked" if digest in asked else "was not asked, or not enforced"
        standing = worth if digest in asked else Standing.MISSING
        yield Claim(f"policy {digest}", standing, told)


def _signature_claim(
    bundle: Bundle, version: Version | None, trusted: Trusted, *, rehashed: bool
) -> Claim:
    count = len(bundle.signatures)
    if trusted.models is None or version is None:
        told = f"{count} in the bundle, and no key is trusted" if count else "there is none"
        return Claim("signature", Standing.TOLD, told)
    from mlflow_vault.govern.signing.judge import require  # noqa: PLC0415 - an extra

    stored = [text.encode() for text in bundle.signatures]
    try:
        verdicts = require(version, stored, trusted.models, rehashed=rehashed)
    except UntrustedError as error:
        return Claim("signature", Standing.MISSING, str(error))
    return Claim("signature", Standing.PROVEN, "; ".join(map(str, verdicts)))


def _verdict_claim(
    about: str,
    verdict: Mapping[str, Any],
    decision: Decision,
    again: tuple[Policy | None, Question | None],
) -> Claim:
    policy, question = again
    if odd := _odd(verdict, decision, policy) or (question and _unlike(question, decision)):
        return Claim(about, Standing.FALSE, odd)
    told = f"{verdict['state']} ({verdict['mode']}) by {len(verdict['results'])} rules"
    if verdict["blocks"]:
        return Claim(about, Standing.MISSING, f"{told}, and yet it was decided")
    if question is None:
        lacks = "it does not tell what it saw" if policy is not None else "there is no policy"
        return Claim(about, Standing.MISSING, f"{told}; it cannot be judged again: {lacks}")
    _, count = question.differing()
    return Claim(about, Standing.TOLD, f"{told}, of which {count} were judged again")


def _odd(verdict: Mapping[str, Any], decision: Decision, policy: Policy | None) -> str:
    """What is wrong with a verdict, whatever was asked."""
    try:
        _add_up(verdict)
    except (LookupError, TypeError, ValueError) as error:
        return f"it does not add up: {error}"
    if verdict.get("candidate_digest") != str(decision.digest):
        return "it is of another version"
    if policy is not None and policy.mode != verdict["mode"]:
        return f"the policy's mode is {policy.mode}"
    return ""


def _unlike(question: Question, decision: Decision) -> str:
    """Why a verdict is not the answer to what had to be asked."""
    if unlike := "; ".join(question.unlike(decision)):
        return unlike
    differing, _ = question.differing()
    told = ", ".join(differing[:_NAMED])
    return f"from what it saw does not follow what it says of {told}" if told else ""


def _asked_by(verdict: Mapping[str, Any]) -> str:
    """The digest of the policy that *verdict* is by, as far as it says."""
    return str(verdict.get("policy_digest"))


def _add_up(verdict: Mapping[str, Any]) -> None:
    """Insist that the rules of a verdict say together what it says itself."""
    state = joined(State(fields.mapping(one)["state"]) for one in verdict["results"])
    blocks = verdict["mode"] == "enforce" and state is not State.PASSED
    if (verdict["state"], verdict["blocks"]) != (state.value, blocks):
        raise ValueError(f"its rules say {state.value}, and it says {verdict['state']}")


def _policy(text: str | None) -> Policy | None:
    if text is None:
        return None
    try:
        policy = Policy.model_validate(read(text.encode()))
    except ValueError:  # pydantic's, too
        return None
    return policy if policy.canonical() == text.encode() else None


def _concerns(statement: Statement, decision: Decision) -> bool:
    return (statement.vault, statement.model, statement.digest) == (
        decision.vault,
        decision.model,
        decision.digest,
    )
