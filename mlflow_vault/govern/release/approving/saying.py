"""Says something of a version: approvals, rejections, evidence.

A vote that would count under none of the policies it is given for is refused, with the reason, and
not kept: whoever gave it learns now that it does not help, not when the version fails to move.

An entry of the audit log comes first, then the statement: nothing counts that the log has not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.roles import Right
from mlflow_vault.errors import (
    ConflictError,
    DeniedError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UntrustedError,
)
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action
from mlflow_vault.format.statement import Kind, Statement
from mlflow_vault.govern.audit.subjects import subject_of
from mlflow_vault.govern.references import full
from mlflow_vault.govern.release.approving.voting import Given, asking, signed_here, vote
from mlflow_vault.govern.release.asking import ask
from mlflow_vault.govern.release.keeping.statements import as_kept
from mlflow_vault.govern.release.refusing import log_refusal, statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.release.approving.approver_key import ApproverKey
    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.govern.release.surroundings import Surroundings
    from mlflow_vault.govern.signing.keys import Key

_VERBS: Final = {Kind.APPROVAL: "approve", Kind.REJECTION: "reject"}
_ACTIONS: Final = {
    Kind.APPROVAL: Action.APPROVE,
    Kind.REJECTION: Action.REJECT,
    Kind.EVIDENCE: Action.EVIDENCE,
}


class Sayings:
    """What is said of versions.

    Attributes:
        around: Where it is said.
    """

    def __init__(self, around: Surroundings) -> None:
        self.around = around

    def approve(  # noqa: PLR0913 - each is a word of the verb
        self,
        reference: Reference,
        *,
        to: str = "",
        reason: str = "",
        code: str = "",
        key: ApproverKey | Key | None = None,
        envelope: Mapping[str, Any] | None = None,
        caller: Caller | None = None,
        request: str = "",
    ) -> Statement:
        """Say yes to a version, under the policies that are in force for it now.

        Args:
            reference: The version.
            to: The stage; may be left out where policies with approvals lead to one alone.
            reason: Why, in words.
            code: A one-time code, as a second factor.
            key: Signs the approval: a second factor, and it says who gives it.
            envelope: An approval that was signed elsewhere.
            caller: Who approves, as a server knows them; None for who runs this process.
            request: By which a client finds the answer.

        Returns:
            The approval, as it is kept.

        Raises:
            DeniedError: It would count under no policy; the message says why.
            NotFoundError: No policy in force asks for approvals.
            InvalidInputError: Policies lead to several stages, and *to* does not say which.
            ConflictError: It was given before: a signed one counts once.
        """
        given = Given(Kind.APPROVAL, to, reason, code, key, envelope, caller, request)
        return self._vote(given, reference)

    def reject(  # noqa: PLR0913 - each is a word of the verb
        self,
        reference: Reference,
        *,
        to: str = "",
        reason: str = "",
        code: str = "",
        key: ApproverKey | Key | None = None,
        envelope: Mapping[str, Any] | None = None,
        caller: Caller | None = None,
        request: str = "",
    ) -> Statement:
        """Say no to a version, until whoever says it says yes; as `approve` otherwise.

        Raises:
            DeniedError: It would count under no policy; the message says why.
            NotFoundError: No policy in force asks for approvals.
        """
        given = Given(Kind.REJECTION, to, reason, code, key, envelope, caller, request)
        return self._vote(given, reference)

    def evidence(  # noqa: PLR0913 - each is a word of the verb
        self,
        reference: Reference,
        *,
        type: str,  # noqa: A002 - as policies call it
        name: str,
        passed: bool,
        values: Mapping[str, Any] | None = None,
        caller: Caller | None = None,
        request: str = "",
    ) -> Statement:
        """Keep a result of a test or an evaluation beside a version.

        Args:
            reference: The version.
            type: What kind of result: ``test-result``.
            name: Which one: ``holdout``.
            passed: Whether it is good.
            values: What came out, by name.
            caller: Who says so, as a server knows them; None for who runs this process.
            request: By which a client finds the answer.

        Raises:
            DeniedError: The caller has not the right.
            InvalidInputError: It is nameless, or too large to be kept.
        """
        around, version = self.around, self._named(reference)
        body = {"type": type, "name": name, "passed": passed, "values": dict(values or {})}
        if not type or not name:
            raise InvalidInputError("evidence needs a type and a name")
        if not isinstance(passed, bool):
            raise InvalidInputError(f"evidence passed, or it did not: got {passed!r}")
        if caller is None and around.governs(version.name):
            return self._answered(version, "evidence", body, request)
        caller = caller or around.caller()
        self._need(version, caller, Right.CONTRIBUTE, f"evidence about {version.label}")
        made = statement(around, version, caller, Kind.EVIDENCE, body=body, request=request)
        return self._keep(version, made, {"type": type, "name": name, "passed": passed})

    def _named(self, reference: Reference) -> Version:
        """Return a version of a registered model.

        Raises:
            InvalidInputError: It is of none.
        """
        version = self._by_registry(reference) or self.around.vault.version(reference)
        if not version.name or not version.number:
            raise InvalidInputError(
                f"{version.digest} is no version of a registered model: commit it with name=..."
            )
        return version

    def _by_registry(self, reference: Reference) -> Version | None:
        """Find a version by the digest that MLflow says: listing all numbers may take long."""
        if not isinstance(reference, str):
            return None
        vault = self.around.vault
        try:
            held = vault.held(full(reference))
            digest = Digest.parse(held.digest) if held is not None and held.digest else None
        except (InvalidInputError, StorageError):
            return None  # the vault may know it all the same, or says what is wrong
        if held is None or digest is None:
            return None
        return vault.known(held.name, held.number, digest)

    def _vote(self, given: Given, reference: Reference) -> Statement:
        around, version, kind = self.around, self._named(reference), given.kind
        policies = asking(around, version, given.to)
        if given.caller is None and around.governs(version.name):
            body: dict[str, Any] = {
                "to": policies[0].transition.to,
                "reason": given.reason,
                "code": given.code,
            }
            body["envelope"] = signed_here(around, version, given, policies)
            return self._answered(version, _VERBS[kind], body, given.request)
        caller = given.caller or around.caller()
        try:
            made = vote(around, version, replace(given, caller=caller), policies)
        except (DeniedError, UntrustedError) as error:
            denied = DeniedError(f"{version.label}, {_VERBS[kind]}: {error}")
            raise log_refusal(around, version, caller.actor, denied) from error
        return self._keep(version, made, {"to": made.body["to"], "policies": list(made.policies)})

    def _need(self, version: Version, caller: Caller, right: Right, what: str) -> None:
        try:
            caller.need(right, what)
        except DeniedError as error:
            raise log_refusal(self.around, version, caller.actor, error) from error

    def _keep(self, version: Version, made: Statement, told: dict[str, Any]) -> Statement:
        around = self.around
        before = [one.id for one in around.statements.of(made.model, made.digest)]
        if made.id in before:
            raise ConflictError(f"this {made.kind} was given before, and counts once")
        made = as_kept(made)
        after = {"statement": made.id, "record": str(made.record), "version": made.number}
        after |= {"factor": made.factor, **told}
        action = _ACTIONS[Kind(made.kind)]
        around.vault.audit.note(action, subject_of(version), made.actor, after=after)
        return around.statements.add(made)

    def _answered(
        self, version: Version, verb: str, body: Mapping[str, Any], request: str
    ) -> Statement:
        """Ask the registry, which decides by itself; return what it kept."""
        around = self.around
        request = ask(around, version, verb, body, request)
        found = around.statements.asked(version.name, version.digest, request)
        if found is None:
            raise NotFoundError(f"the registry took the {verb}, and it is not in the vault")
        return found
