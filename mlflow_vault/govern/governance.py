"""The verbs of governance: sign versions, judge them, promote them, take them back.

Most are `govern.release` and `govern.signing`; here they are named, and find what they need.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import UntrustedError
from mlflow_vault.format.log import Action
from mlflow_vault.govern.audit.subjects import subject_of
from mlflow_vault.govern.committing import user
from mlflow_vault.govern.knowledge import Knowledge

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.decide.policy.evidence import Finding
    from mlflow_vault.decide.policy.verdict import Verdict as PolicyVerdict
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.monitor.report import Report
    from mlflow_vault.govern.policies.force import Force
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.release.approving.approver_key import ApproverKey
    from mlflow_vault.govern.release.releases import Releases
    from mlflow_vault.govern.release.telling.promotion import Promotion
    from mlflow_vault.govern.release.telling.status import Status
    from mlflow_vault.govern.signing.bundle import Signature
    from mlflow_vault.govern.signing.judge import Verdict
    from mlflow_vault.govern.signing.keys import Key
    from mlflow_vault.govern.signing.trust import Trust

# Files of public keys or root certificates whose signatures count where policies ask for one.
TRUST_VARIABLE: Final = "MLFLOW_VAULT_TRUST"


class Governance(Knowledge):
    """What may be done with the versions of one vault, and by whom."""

    def sign(self, reference: Reference, key: Key) -> Signature:
        """Sign a version from the digests that the vault has, reading none of its bytes.

        The signature is OpenSSF Model Signing's, which its stock verifier accepts, and is kept
        beside the version.

        Args:
            reference: A version.
            key: `mlflow_vault.Key.from_files("key.pem")`.

        Raises:
            UnsupportedError: The extra `sign` is not installed.
            InvalidInputError: The key cannot sign, or there is nothing to sign.
        """
        from mlflow_vault.govern.signing.judge import sign  # noqa: PLC0415 - an extra

        version = self.version(reference)
        signature = sign(version, key)
        self._records.put_signature(version, signature.name, signature.to_bytes())
        after = {"signature": signature.name}
        self.audit.note(Action.SIGN, subject_of(version), user(), after=after)
        return signature

    def signatures(self, reference: Reference) -> tuple[bytes, ...]:
        """The signatures that are kept beside a version, as Sigstore's bundles; not judged."""
        return tuple(self._records.signatures(self.version(reference)))

    def require_signature(self, reference: Reference, trust: Trust) -> tuple[Verdict, ...]:
        """Insist that a version is signed by who is trusted.

        Args:
            reference: A version.
            trust: `mlflow_vault.Trust.from_files("public.pem")`.

        Raises:
            UntrustedError: It is not; the message says what each signature lacks.
        """
        from mlflow_vault.govern.signing.judge import require  # noqa: PLC0415 - an extra

        version = self.version(reference)
        return require(version, self._records.signatures(version), trust)

    def judge(
        self,
        reference: Reference,
        policy: Policy,
        *,
        baseline: Reference = "",
        trust: Trust | None = None,
    ) -> PolicyVerdict:
        """Say whether a version fulfils a policy as things are; nothing is moved or stored.

        It sees what a promotion would see: approvals, evidence, how long it stands where it does.
        Its bytes are read and custom checks asked if the policy wants that, and nothing else
        denies.

        Args:
            reference: The candidate.
            policy: `govern.policies.check("policy.yaml")`.
            baseline: What it is compared with, if it is not what the policy says.
            trust: Who may have signed it.

        Raises:
            NotFoundError: There is no such version.
        """
        from mlflow_vault.govern.release.context import Wish  # noqa: PLC0415 - few ask

        version = self.version(reference)
        wish = Wish(version, policy.transition.to, policy.transition.kind, user(), baseline)
        return self._releases(trust).ask(wish, policy)

    def promote(
        self,
        reference: Reference,
        *,
        to: str,
        policy: Policy | str | Path | None = None,
        reason: str = "",
    ) -> Promotion:
        """Move a version to a stage, if every policy that is in force for that agrees.

        Where MLflow's registry itself decides, it is asked; else this process decides, in the name
        of who runs it, whom nobody authenticated.

        Args:
            reference: The version.
            to: ``staging`` or ``production``.
            policy: One that is asked besides: itself, the name of one in force, or a file.
            reason: Why, in words.

        Raises:
            DeniedError: A policy, or a role, does not allow it; `.verdicts` has every rule.
            WaitingError: Approvals or time are missing.
            NotFoundError: There is no such version, or no policy is in force for it.
            ConflictError: Somebody else moved that stage first.

        Example:
            >>> from mlflow_vault import Vault
            >>> Vault.init("vault-memory://promoting").promote("credit/3", to="production")
            Traceback (most recent call last):
            ...
            mlflow_vault.errors.NotFoundError: credit/3 is no version of this vault; ...
        """
        return self.releases.promote(reference, to=to, policy=policy, reason=reason)

    def approve(
        self,
        reference: Reference,
        *,
        to: str = "",
        reason: str = "",
        code: str = "",
        key: ApproverKey | Key | None = None,
    ) -> Statement:
        """Say yes to a version, under the policies that are in force for it now.

        Args:
            reference: The version.
            to: The stage; may be left out where policies with approvals lead to one alone.
            reason: Why, in words.
            code: A one-time code, as a second factor.
            key: Signs the approval: a second factor, and it says who gives it.

        Raises:
            DeniedError: It would count under no policy; the message says why.
            NotFoundError: No policy in force asks for approvals.
        """
        return self.releases.approve(reference, to=to, reason=reason, code=code, key=key)

    def reject(
        self,
        reference: Reference,
        *,
        to: str = "",
        reason: str = "",
        code: str = "",
        key: ApproverKey | Key | None = None,
    ) -> Statement:
        """Say no to a version, until whoever says it says yes; as `approve` otherwise."""
        return self.releases.reject(reference, to=to, reason=reason, code=code, key=key)

    def evidence(
        self,
        reference: Reference,
        *,
        type: str,  # noqa: A002 - as policies call it
        name: str,
        passed: bool,
        values: Mapping[str, Any] | None = None,
    ) -> Statement:
        """Keep a result of a test or an evaluation beside a version.

        Args:
            reference: The version.
            type: What kind of result: ``test-result``.
            name: Which one: ``holdout``.
            passed: Whether it is good.
            values: What came out, by name.
        """
        return self.releases.evidence(reference, type=type, name=name, passed=passed, values=values)

    def archive(self, reference: Reference, *, reason: str) -> Promotion:
        """Take a version out of service; its bytes stay.

        Raises:
            DeniedError: A policy that is in force for archival, or a role, does not allow it.
        """
        return self.releases.archive(reference, reason=reason)

    def rollback(self, name: str, *, reason: str, to: Reference = "") -> Promotion:
        """Put the last healthy version that stood in production back, at once.

        Args:
            name: The registered model.
            reason: Why, in words.
            to: Another version that stood there.

        Raises:
            NotFoundError: There is nothing to go back to.
            ConflictError: Somebody else moved production first.
        """
        return self.releases.rollback(name, reason=reason, to=to)

    def status(self, name: str) -> Status:
        """Say who stands where since when, which versions wait for what, and what differs."""
        return self.releases.status(name)

    def monitor(self, name: str = "") -> Report:
        """Look once whether what stands in a stage is healthy; roll back and alert if it is not.

        Whom alerts reach says the file that ``MLFLOW_VAULT_ALERTS`` names, where Prometheus is
        ``MLFLOW_VAULT_PROMETHEUS_URL``.  What is missing, stale or cannot be fetched is neither
        healthy nor failing.

        Args:
            name: Only this registered model.

        Raises:
            NotFoundError: No policy in force has health rules for the model *name*.

        Example:
            >>> from mlflow_vault import Vault
            >>> print(Vault.init("vault-memory://watched").monitor())
            nothing stands in a stage for which a policy in force has health rules
        """
        from mlflow_vault.govern.monitor.alerts.delivery import Alerts  # noqa: PLC0415 - few ask
        from mlflow_vault.govern.monitor.watch import Monitor  # noqa: PLC0415

        return Monitor(self.releases.around, Alerts.from_environment(os.environ)).look(name)

    @property
    def policies(self) -> Force:
        """The policies and roles in force."""
        from mlflow_vault.govern.policies.force import Force  # noqa: PLC0415 - few ask

        return Force(self.store, self._world, self.identity, self.audit)

    @property
    def releases(self) -> Releases:
        """Which version stands where, and how that changes."""
        return self._releases(None)

    def _releases(self, trust: Trust | None) -> Releases:
        from mlflow_vault.govern.release.releases import Releases  # noqa: PLC0415 - few ask
        from mlflow_vault.govern.release.surroundings import Surroundings  # noqa: PLC0415

        signed = partial(self._signed, trust)
        around = Surroundings(self, self.policies, self._host, self._world, signed, os.environ)
        return Releases(around)

    def _signed(self, trust: Trust | None, version: Version) -> Finding:
        """Say whether somebody who is trusted signed *version*."""
        from mlflow_vault.decide.policy.evidence import Finding  # noqa: PLC0415 - few ask

        if trust is None and (named := os.environ.get(TRUST_VARIABLE)):
            from mlflow_vault.govern.signing.trust import Trust  # noqa: PLC0415 - an extra

            trust = Trust.from_files(*named.split(os.pathsep))
        if trust is None:
            reason = f"nobody said whose signatures count: {TRUST_VARIABLE} names no key"
            return Finding(None, reason)
        try:
            verdicts = self.require_signature(version, trust)
        except UntrustedError as error:
            return Finding(holds=False, reason=str(error))
        return Finding(holds=True, reason="; ".join(map(str, verdicts)))
