"""Signatures over versions: OpenSSF Model Signing, made from the digests a vault holds.

    statement.py   what is signed: every file's digest, and the version's own
    bundle.py      the file around it: Sigstore's bundle, which the stock verifier reads
    keys.py        EC keys, from files
    chains.py      certificates, up to a trusted root
    trust.py       whose signatures count, and how many
    judge.py       sign a version; judge what claims to sign it

Nothing here reads a model's bytes, and nothing asks a network.

Written down in docs/format.md, "Signatures".
"""

from __future__ import annotations

from mlflow_vault.errors import UnsupportedError

try:
    from cryptography.x509.verification import ExtensionPolicy as _  # noqa: F401 - extra: sign
except ImportError as cause:
    raise UnsupportedError(
        'signatures need cryptography 45 or newer: pip install "mlflow-vault[sign]"'
    ) from cause
