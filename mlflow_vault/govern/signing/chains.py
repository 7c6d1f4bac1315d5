"""Certificates: from the signer's up to a root that is trusted.

The path is built and checked by `cryptography` as RFC 5280 has it: signatures, dates, lengths,
names, and no critical extension that is not known.  What it leaves to us is what certificates may
be used for.  Where one limits its uses, signing code has to be among them: a company's root vouches
for its web servers, too, and they sign no models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.signing.keys import fingerprint, public_pem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography.x509.verification import Policy

_SIGNING: Final = frozenset(
    {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)
# What a certificate that somebody forged can make the library raise.
_REFUSALS: Final = (
    VerificationError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    TypeError,
    ValueError,
    Warning,  # of deprecated encodings, where somebody made warnings errors
)


def certified(
    chain: Sequence[bytes], roots: Iterable[bytes], moment: datetime
) -> tuple[bytes, str]:
    """Return the public key that *chain* certifies, and whose it is.

    Args:
        chain: In DER, the signer's first.
        roots: In DER.
        moment: When all certificates have to be valid.

    Raises:
        InvalidInputError: No root vouches for it, then, as one that signs models.
    """
    try:
        own, *above = map(x509.load_der_x509_certificate, chain)
        verifier = (
            PolicyBuilder()
            .store(Store([x509.load_der_x509_certificate(root) for root in roots]))
            .time(moment)
            .extension_policies(ca_policy=_AUTHORITIES, ee_policy=_SIGNERS)
            .build_client_verifier()
        )
        verifier.verify(own, above)
        _refuse_silence(own)
        public = public_pem(own.public_key(), "its certificate's key")
    except _REFUSALS as cause:
        raise InvalidInputError(f"no trusted root vouches for its certificate: {cause}") from cause
    return public, own.subject.rfc4514_string() or fingerprint(public)


def _refuse_silence(certificate: x509.Certificate) -> None:
    """A signer's certificate says itself that it signs: nothing said is not enough."""
    found = {type(extension.value) for extension in certificate.extensions}
    if found.isdisjoint({x509.KeyUsage, x509.ExtendedKeyUsage}):
        raise ValueError("it does not say that it may sign")


def _may_issue(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("a certificate above it may not issue others")


def _may_sign(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.digital_signature:
        raise ValueError("it may not sign")


def _for_code(_: Policy, __: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and _SIGNING.isdisjoint(usage):
        raise ValueError("it is for other uses than signing code")


_ANY: Final = Criticality.AGNOSTIC
_AUTHORITIES: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, _ANY, None)
    # Releases differ in which kinds of names they hold to such limits, so nobody may have any.
    .require_not_present(x509.NameConstraints)
    .may_be_present(x509.KeyUsage, _ANY, _may_issue)
    .may_be_present(x509.ExtendedKeyUsage, _ANY, _for_code)
)
_SIGNERS: Final = (
    ExtensionPolicy.permit_all()
    .may_be_present(x509.KeyUsage, _ANY, _may_sign)
    .may_be_present(x509.ExtendedKeyUsage, _ANY, _for_code)
)
