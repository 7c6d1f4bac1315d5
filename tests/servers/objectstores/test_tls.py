"""Certificates are checked, unless their owner said otherwise."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mlflow_vault.errors import NotFoundError, StorageError
from mlflow_vault.store.remote.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlflow_vault.store.address import Address
    from mlflow_vault.store.remote.retries import Patience

    Settings = Callable[[str], dict[str, str]]

SERVER = """
import ssl, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Nothing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)
    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a private authority's certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "private")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(scope="module")
def url(certificate: Path) -> Iterator[str]:
    """Return the URL of an HTTPS server that holds nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(certificate)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"https://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


def test_unknown_authority(url: str, address: Address, settings: Settings, hasty: Patience) -> None:
    """A server whose certificate nobody vouches for is not talked to."""
    with pytest.raises(StorageError, match="cannot get"):
        S3Store(address, settings(url), hasty).get("a")


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_bundle(
    url: str, address: Address, settings: Settings, certificate: Path, name: str
) -> None:
    """An authority that is set is trusted."""
    with pytest.raises(NotFoundError):
        S3Store(address, settings(url) | {name: str(certificate)}).get("a")


def test_ignored(url: str, address: Address, settings: Settings) -> None:
    """Who ignores TLS gets what that means."""
    with pytest.raises(NotFoundError):
        S3Store(address, settings(url) | {"MLFLOW_S3_IGNORE_TLS": "true"}).get("a")
