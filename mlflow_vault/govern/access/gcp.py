"""What a role may do, as bindings of a bucket's IAM policy at Google, with conditions.

There a name that is taken can be written only by who may delete as well, so ``objectCreator`` is
what writes once, by itself.  The bucket needs uniform bucket-level access.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.govern.access.roles import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.govern.access.roles import Grant

_MEMBER: Final = "MEMBER"  # whoever applies the policy knows who it is for
_MOST: Final = 12  # a condition has at most twelve logical operators
# Packs and content are put under names that nobody had, so creating is enough.
_LISTED: Final = "api.getAttribute('storage.googleapis.com/objectListPrefix', '')"
_CREATOR: Final = "roles/storage.objectCreator"
_USER: Final = "roles/storage.objectUser"
_VIEWER: Final = "roles/storage.objectViewer"
_FRESH: Final = ("packs/", "versions/content/")


def policy(role: str, grants: tuple[Grant, ...], bucket: str, root: str) -> dict[str, Any]:
    """Return the bindings: to add to the bucket's policy, for the member they are for."""
    objects = f"projects/_/buckets/{bucket}/objects/{root}"
    reading = [f"resource.name.startsWith('{objects}')", f"{_LISTED}.startsWith('{root}')"]
    replaced = [grant.prefix for grant in grants if _replaces(grant)]
    created = [grant.prefix for grant in grants if not _replaces(grant)]
    bindings = [_binding(_VIEWER, f"{role}: read", reading if root else [])]
    if "" in replaced:
        bindings.append(_binding(_USER, f"{role}: all", reading[:1] if root else []))
        replaced = []
    for role_name, what, prefixes in (
        (_USER, "replace", replaced),
        (_CREATOR, "create", created),
    ):
        names = [f"resource.name.startsWith('{objects}{prefix}')" for prefix in prefixes]
        bindings += [_binding(role_name, f"{role}: {what}", some) for some in _cut(names)]
    return {"bindings": bindings, "version": 3}


def _replaces(grant: Grant) -> bool:
    return Access.CREATE not in grant.accesses and grant.prefix not in _FRESH


def _cut(names: list[str]) -> Iterator[list[str]]:
    for at in range(0, len(names), _MOST + 1):
        yield names[at : at + _MOST + 1]


def _binding(role: str, title: str, any_of: list[str]) -> dict[str, Any]:
    binding: dict[str, Any] = {"role": role, "members": [_MEMBER]}
    if any_of:
        expression = " || ".join(any_of)
        binding["condition"] = {"title": f"mlflow-vault {title}", "expression": expression}
    return binding
