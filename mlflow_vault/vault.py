"""The face: one `Vault` and its verbs; most are `engine.files` and `govern.versions`.

Everything here may be called from many threads and after a fork; nothing is held between calls
but what `vault.json` said.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mlflow_vault.engine.identity import identity_of, make_identity
from mlflow_vault.engine.tree import Item
from mlflow_vault.engine.world import World
from mlflow_vault.errors import NotFoundError, PermissionDeniedError, UntrustedError
from mlflow_vault.format import layout
from mlflow_vault.format.log import Action
from mlflow_vault.govern.audit.audit import subject_of
from mlflow_vault.govern.committing import user
from mlflow_vault.govern.knowledge import Knowledge
from mlflow_vault.store.address import Address
from mlflow_vault.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.decide.policy.verdict import Verdict as PolicyVerdict
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.signing.bundle import Signature
    from mlflow_vault.govern.signing.judge import Verdict
    from mlflow_vault.govern.signing.keys import Key
    from mlflow_vault.govern.signing.trust import Trust
    from mlflow_vault.store.protocol import Store

__all__ = ["Item", "Vault"]

_log = logging.getLogger(__name__)
_found: dict[str, Vault] = {}  # vaults by canonical URI; a vault.json never changes


class Vault(Knowledge):
    """A store with our format in it.

    Example:
        >>> from pathlib import Path
        >>> vault = Vault.init("vault-memory://example")
        >>> vault.write_file(Path(__file__), "1/run/artifacts/vault.py")
        >>> [item.path for item in vault.list("1/run/artifacts")]
        ['1/run/artifacts/vault.py']
    """

    def __repr__(self) -> str:
        return f"Vault({self.uri!r})"

    @classmethod
    def open(cls, uri: str) -> Vault:
        """Open the vault whose root is *uri*.

        Raises:
            NotFoundError: There is no vault.
            UnsupportedError: It needs a newer release, which the message names.
        """
        return cls.at(open_store(address := Address.parse(uri)), World.around(address))

    @classmethod
    def at(cls, store: Store, world: World | None = None) -> Vault:
        """Open the vault in *store*.

        Raises:
            NotFoundError: There is no vault.
            UnsupportedError: It needs a newer release, which the message names.
        """
        return cls(store, identity_of(store), world)

    @classmethod
    def init(cls, uri: str) -> Vault:
        """Make a vault at *uri*, or open the one that is there; of two first makers one wins.

        Raises:
            StorageError: The store cannot be written.
        """
        return cls.init_at(open_store(address := Address.parse(uri)), World.around(address))

    @classmethod
    def init_at(cls, store: Store, world: World | None = None) -> Vault:
        """Make a vault in *store*, or open the one that is there."""
        return cls(store, make_identity(store, world or World()), world)

    @classmethod
    def find(cls, uri: str) -> tuple[Vault, str] | None:
        """Find the vault that *uri* lies in: the nearest folder, itself included, that is one.

        A place above the vault that we may not look at is taken for none.

        Returns:
            The vault and the path of *uri* in it, or None.

        Raises:
            PermissionDeniedError: We may look at none of them.
        """
        address = Address.parse(uri)
        denied: list[PermissionDeniedError] = []
        places = [address, *address.parents()]
        for place in places:
            name = str(place)
            vault = _found.get(name)
            if vault is None:
                try:
                    vault = cls.at(open_store(place), World.around(place))
                except NotFoundError:
                    continue
                except PermissionDeniedError as error:
                    denied.append(error)
                    continue
                _found[name] = vault
            return vault, layout.check_path(address.path[len(place.path) :].strip("/"))
        if len(denied) == len(places):
            raise denied[0]
        return None

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

    def checkout(
        self,
        reference: Reference,
        destination: Path,
        *,
        require_signature: Trust | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Version:
        """Write a version's files to a new or empty folder, each verified: all, or nothing.

        It asks neither MLflow nor the artifact path for them, so it works after ``mlflow gc``.

        Args:
            reference: A version.
            destination: A new or empty folder.
            require_signature: Whose signature it must have.
            progress: Told the bytes as they are done.

        Raises:
            InvalidInputError: There is something at *destination*.
            UntrustedError: It is not signed by who is trusted.
            CorruptionError: A file cannot be read as it was committed.
            StorageError: The store failed, or *destination* cannot be written.
        """
        version = self.version(reference)
        if require_signature is not None:
            self.require_signature(version, require_signature)
        return super().checkout(version, destination, progress=progress)

    def judge(
        self,
        reference: Reference,
        policy: Policy,
        *,
        baseline: Reference = "",
        trust: Trust | None = None,
    ) -> PolicyVerdict:
        """Say whether a version fulfils a policy as things are; nothing is moved or stored.

        Its bytes are read and verified.  Approvals, evidence and how long it stood in a stage are
        not kept yet, so what needs them waits or denies.

        Args:
            reference: The candidate.
            policy: `govern.policies.check("policy.yaml")`.
            baseline: What it is compared with, if it is not what the policy says.
            trust: Who may have signed it.

        Raises:
            NotFoundError: There is no such version.
        """
        from mlflow_vault.decide.policy.evidence import Finding  # noqa: PLC0415 - few ask
        from mlflow_vault.govern.policies.judging import judge_version  # noqa: PLC0415 - few ask

        version = self.version(reference)
        signed = Finding(None, "nobody said whose signatures count")
        if trust is not None:
            try:
                verdicts = self.require_signature(version, trust)
            except UntrustedError as error:
                signed = Finding(holds=False, reason=str(error))
            else:
                signed = Finding(holds=True, reason="; ".join(map(str, verdicts)))
        return judge_version(self, version, policy, baseline, signed)

    def bom(self, reference: Reference) -> dict[str, Any]:
        """Return a version's CycloneDX 1.6 bill of materials: files, data, packages, metrics."""
        from mlflow_vault.govern.describing.bom import bom  # noqa: PLC0415 - few ask

        return bom(self.version(reference))

    def model_card(self, reference: Reference) -> str:
        """Return a version's model card, Markdown with YAML in front, as Hugging Face reads it."""
        from mlflow_vault.govern.describing.card import model_card  # noqa: PLC0415 - few ask

        return model_card(self.version(reference))
