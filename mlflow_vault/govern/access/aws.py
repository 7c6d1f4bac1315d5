"""What a role may do, as an IAM policy of AWS; Ceph's gateway reads the same language.

What is written once is allowed only in requests that say ``If-None-Match``, by the condition key
``s3:if-none-match``.  A server that does not know that key, as Ceph's gateway, does not hold
anybody to it: there the holder of a role can replace what the role may create.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.govern.access.roles import Access

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.govern.access.roles import Grant

_CONDITIONAL: Final = {"Null": {"s3:if-none-match": "false"}}


def policy(role: str, grants: tuple[Grant, ...], bucket: str, root: str) -> dict[str, Any]:
    """Return the document: to attach to a user, a group or a role."""
    arn = f"arn:aws:s3:::{bucket}"
    listing: dict[str, Any] = {
        "Sid": "List",
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": [arn],
    }
    if root:
        # Without "IfExists" a missing object would be answered as a forbidden one: the request for
        # it has no prefix, so the condition would not hold.  A listing without any prefix has none
        # either; so the names in the bucket, no more, are seen by whoever may read the vault.
        listing["Condition"] = {"StringLikeIfExists": {"s3:prefix": [f"{root}*"]}}
    statements = [
        listing,
        _statement("Read", "s3:GetObject", arn, [root]),
        _statement("Put", "s3:PutObject", arn, _prefixes(grants, Access.PUT, root)),
        _statement("Create", "s3:PutObject", arn, _prefixes(grants, Access.CREATE, root))
        | {"Condition": _CONDITIONAL},
        _statement("Delete", "s3:DeleteObject", arn, _prefixes(grants, Access.DELETE, root)),
    ]
    return {
        "Version": "2012-10-17",
        "Id": f"mlflow-vault-{role}",
        "Statement": [statement for statement in statements if statement["Resource"]],
    }


def _prefixes(grants: Iterable[Grant], access: Access, root: str) -> list[str]:
    return [f"{root}{grant.prefix}" for grant in grants if access in grant.accesses]


def _statement(name: str, action: str, arn: str, prefixes: list[str]) -> dict[str, Any]:
    resources = [f"{arn}/{prefix}*" for prefix in prefixes]
    return {"Sid": name, "Effect": "Allow", "Action": [action], "Resource": resources}
