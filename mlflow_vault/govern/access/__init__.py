"""Least privilege at the object store: what each role has to be allowed, as a provider says it.

    roles.py    which role writes which keys, and how
    aws.py      an IAM policy, which Ceph's gateway reads as well
    gcp.py      bindings of a bucket's IAM policy, with conditions
    azure.py    role definitions, and assignments with conditions
    writing.py  the documents for a vault's address

Nothing here asks a provider for anything, or knows any credentials.

Written down in docs/access.md.
"""

from __future__ import annotations

from mlflow_vault.govern.access.roles import GRANTS, Access, Grant, Role
from mlflow_vault.govern.access.writing import PROVIDERS, documents

__all__ = ["GRANTS", "PROVIDERS", "Access", "Grant", "Role", "documents"]
