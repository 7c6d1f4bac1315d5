"""The documents for a role, a provider and a vault's address.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError, UnsupportedError
from mlflow_vault.govern.access import aws, azure, gcp
from mlflow_vault.govern.access.roles import GRANTS, Role
from mlflow_vault.store.address import ABFS, AZ, GS, S3

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.govern.access.roles import Grant
    from mlflow_vault.store.address import Address

    Write = Callable[[str, tuple[Grant, ...], str, str], dict[str, Any]]

PROVIDERS: Final[dict[str, tuple[tuple[str, ...], Write]]] = {
    "aws": ((S3,), aws.policy),
    "gcp": ((GS,), gcp.policy),
    "azure": ((AZ, ABFS), azure.policy),
}

_ODD: Final = "*?$'\"\\{}"


def documents(provider: str, role: str, address: Address) -> dict[str, Any]:
    """Return what a provider has to be told so that somebody can do what *role* does, and no more.

    Args:
        provider: ``aws`` (and what speaks its language), ``gcp`` or ``azure``.
        role: One of `Role`.
        address: The vault's.

    Raises:
        InvalidInputError: There is no such provider or role.
        UnsupportedError: The vault does not lie there, or its address cannot be told in a policy.

    Example:
        >>> from mlflow_vault.store.address import Address
        >>> found = documents("aws", "viewer", Address.parse("vault-s3://bucket/models"))
        >>> [(one["Sid"], one["Action"]) for one in found["Statement"]]
        [('List', ['s3:ListBucket']), ('Read', ['s3:GetObject'])]
    """
    if provider not in PROVIDERS:
        raise InvalidInputError(f"{provider!r} is no provider; know {', '.join(PROVIDERS)}")
    if role not in set(Role):
        raise InvalidInputError(f"{role!r} is no role; know {', '.join(Role)}")
    schemes, write = PROVIDERS[provider]
    if address.scheme not in schemes:
        raise UnsupportedError(
            f"{address} is not kept by {provider}: name a vault at vault-{schemes[0]}://"
        )
    root = f"{address.path[1:]}/" if address.path else ""
    odd = sorted({letter for letter in root if letter in _ODD or not letter.isprintable()})
    if odd:
        raise UnsupportedError(
            f"{address} has {''.join(odd)!r} in its path, which mean something else in policies: "
            "keep the vault under a plainer name"
        )
    return write(role, GRANTS[Role(role)], address.authority, root)
