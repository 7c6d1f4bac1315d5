"""The stock verifier believes our signatures, and we believe the stock signer's."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import model_signing
import pytest
from smithy import AUTHORITY, CURVES, FILES, Smith, version_of, write

from mlflow_vault.govern.signing.judge import sign, verify_signature
from mlflow_vault.govern.signing.keys import Key
from mlflow_vault.govern.signing.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOCK: Final[Any] = model_signing

# Each takes the folder of a model.
TAMPERINGS: Final[dict[str, Callable[[Path], object]]] = {
    "a byte": lambda model: (model / "model.safetensors").write_bytes(
        b"\x01" + FILES["model.safetensors"][1:]
    ),
    "a byte more": lambda model: (model / "data-2/empty").write_bytes(b"\x00"),
    "a file more": lambda model: (model / "data/more").write_bytes(b""),
    "a hidden file more": lambda model: (model / ".more").write_bytes(b""),
    "a file less": lambda model: (model / "MLmodel").unlink(),
    "an empty file less": lambda model: (model / "data-2/empty").unlink(),
    "renamed": lambda model: (model / "MLmodel").rename(model / "mlmodel"),
    "moved": lambda model: (model / "MLmodel").rename(model / "data/MLmodel"),
    "swapped": lambda model: (model / "MLmodel").write_bytes(FILES["model.safetensors"]),
}


def read(folder: Path) -> dict[str, bytes]:
    """The files of a folder, by path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("curve", CURVES)
def test_keys(smith: Smith, tmp_path: Path, curve: str) -> None:
    """It believes a signature made with a key from the digests of a version."""
    model = write(tmp_path / "model", FILES)
    pair = smith.pair(curve)
    signature = tmp_path / "model.sig"

    signature.write_bytes(sign(version_of(FILES), Key.from_files(pair.private)).to_bytes())

    stock = STOCK.verifying.Config().use_elliptic_key_verifier(public_key=pair.public)
    stock.verify(model, signature)
    wrong = smith.pair(curve).public
    with pytest.raises(ValueError, match="Key mismatch"):
        STOCK.verifying.Config().use_elliptic_key_verifier(public_key=wrong).verify(
            model, signature
        )


@pytest.mark.parametrize("curve", CURVES)
def test_certificates(smith: Smith, tmp_path: Path, curve: str) -> None:
    """It believes a signature made with a certificate, and not above another root."""
    model = write(tmp_path / "model", FILES)
    root = smith.certificate("root", extensions=AUTHORITY)
    middle = smith.certificate("middle", root, extensions=AUTHORITY)
    own = smith.certificate("ada", middle, key=smith.pair(curve).key)
    key = Key.from_files(
        own.private, certificates=[own.certificate, middle.certificate, root.certificate]
    )
    signature = tmp_path / "model.sig"

    signature.write_bytes(sign(version_of(FILES), key).to_bytes())

    config = STOCK.verifying.Config
    config().use_certificate_verifier(certificate_chain=[root.certificate]).verify(model, signature)
    other = smith.certificate("root", extensions=AUTHORITY)
    with pytest.raises(Exception, match=r"self-signed|issuer|signature"):
        config().use_certificate_verifier(certificate_chain=[other.certificate]).verify(
            model, signature
        )


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering(smith: Smith, tmp_path: Path, tampering: str) -> None:
    """Whatever is done to the files, it notices and so do we."""
    model = write(tmp_path / "model", FILES)
    pair = smith.pair()
    signature = tmp_path / "model.sig"
    signature.write_bytes(sign(version_of(FILES), Key.from_files(pair.private)).to_bytes())

    TAMPERINGS[tampering](model)

    stock = STOCK.verifying.Config().use_elliptic_key_verifier(public_key=pair.public)
    with pytest.raises(ValueError, match="Signature mismatch"):
        stock.verify(model, signature)
    trust = Trust.from_files(pair.public)
    verdict = verify_signature(
        version_of(read(model)), signature.read_bytes(), trust, rehashed=True
    )
    assert not verdict
    assert verdict.reasons


def test_command(smith: Smith, tmp_path: Path) -> None:
    """Its command line believes the file, with the signature kept inside the model's folder."""
    model = write(tmp_path / "model", FILES)
    pair = smith.pair()
    signature = model / "model.sig"
    signature.write_bytes(sign(version_of(FILES), Key.from_files(pair.private)).to_bytes())

    command = [sys.executable, "-m", "model_signing", "verify", "key"]
    command += ["--signature", str(signature), "--public_key", str(pair.public), str(model)]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    TAMPERINGS["a byte"](model)
    bad = subprocess.run(command, capture_output=True, text=True, check=False)

    assert good.returncode == 0, good.stderr
    assert "Verification succeeded" in good.stdout
    assert bad.returncode == 1
    assert "Hash mismatch for 'model.safetensors'" in bad.stderr


def test_files_of_git(smith: Smith, tmp_path: Path) -> None:
    """It passes over git's files at the root; we hold those, too, to what was signed."""
    files = {**FILES, ".gitattributes": b"*.bin lfs\n", ".github/ci.yml": b"on: push\n"}
    files["data/.gitignore"] = b"*\n"
    model = write(tmp_path / "model", files)
    pair = smith.pair()
    signature = tmp_path / "model.sig"

    signature.write_bytes(sign(version_of(files), Key.from_files(pair.private)).to_bytes())

    stock = STOCK.verifying.Config().use_elliptic_key_verifier(public_key=pair.public)
    stock.verify(model, signature)
    trust = Trust.from_files(pair.public)
    assert verify_signature(version_of(files), signature.read_bytes(), trust)
    changed = version_of({**files, ".gitattributes": b"*.py lfs\n"})
    assert not verify_signature(changed, signature.read_bytes(), trust)


@pytest.mark.parametrize("algorithm", ["sha256", "blake3"])
def test_stock_keys(smith: Smith, tmp_path: Path, algorithm: str) -> None:
    """We believe the stock signer, with either digest that versions have."""
    model = write(tmp_path / "model", FILES)
    pair = smith.pair("p384")
    signature = tmp_path / "model.sig"
    hashing = STOCK.hashing.Config().use_file_serialization(hashing_algorithm=algorithm)
    stock = STOCK.signing.Config().use_elliptic_key_signer(private_key=pair.private)
    stock.set_hashing_config(hashing).sign(model, signature)

    trust, stored = Trust.from_files(pair.public), signature.read_bytes()
    verdict = verify_signature(version_of(FILES), stored, trust, rehashed=True)

    assert verdict.holds, verdict
    assert not verdict.record
    other = version_of({**FILES, "MLmodel": b""})
    assert not verify_signature(other, stored, trust, rehashed=True)


def test_stock_certificates(smith: Smith, tmp_path: Path) -> None:
    """We believe the stock signer with certificates, the root among them."""
    model = write(tmp_path / "model", FILES)
    root = smith.certificate("root", extensions=AUTHORITY)
    own = smith.certificate("ada", root)
    signature = tmp_path / "model.sig"
    STOCK.signing.Config().use_certificate_signer(
        private_key=own.private,
        signing_certificate=own.certificate,
        certificate_chain=[root.certificate],
    ).sign(model, signature)

    trust = Trust.from_files(root.certificate)
    verdict = verify_signature(version_of(FILES), signature.read_bytes(), trust, rehashed=True)

    assert verdict.holds, verdict
    assert verdict.signer == "CN=ada"


def test_stock_signs_less(smith: Smith, tmp_path: Path) -> None:
    """What the stock signer was told to ignore is not signed, whatever its signature says."""
    model = write(tmp_path / "model", FILES)
    pair = smith.pair()
    signature = tmp_path / "model.sig"
    ignoring = STOCK.hashing.Config().set_ignored_paths(paths=["MLmodel"])
    stock = STOCK.signing.Config().use_elliptic_key_signer(private_key=pair.private)
    stock.set_hashing_config(ignoring).sign(model, signature)

    trust = Trust.from_files(pair.public)
    verdict = verify_signature(version_of(FILES), signature.read_bytes(), trust, rehashed=True)

    assert verdict.reasons == ("not signed: 'MLmodel'",)


def test_stock_signs_no_files_of_git(smith: Smith, tmp_path: Path) -> None:
    """Git's files are not signed by the stock signer, so with them a version is not."""
    files = {**FILES, ".gitattributes": b"*.bin lfs\n"}
    model = write(tmp_path / "model", files)
    pair = smith.pair()
    signature = tmp_path / "model.sig"
    STOCK.signing.Config().use_elliptic_key_signer(private_key=pair.private).sign(model, signature)

    trust, stored = Trust.from_files(pair.public), signature.read_bytes()

    assert verify_signature(version_of(FILES), stored, trust, rehashed=True)
    refused = verify_signature(version_of(files), stored, trust, rehashed=True)
    assert refused.reasons == ("not signed: '.gitattributes'",)


def test_shards(smith: Smith, tmp_path: Path) -> None:
    """A signature over parts of files is refused, and says what to do."""
    model = write(tmp_path / "model", FILES)
    pair = smith.pair()
    signature = tmp_path / "model.sig"
    shards = STOCK.hashing.Config().use_shard_serialization()
    stock = STOCK.signing.Config().use_elliptic_key_signer(private_key=pair.private)
    stock.set_hashing_config(shards).sign(model, signature)

    trust = Trust.from_files(pair.public)
    verdict = verify_signature(version_of(FILES), signature.read_bytes(), trust, rehashed=True)

    assert not verdict
    assert "sign whole files instead" in verdict.reasons[0]
