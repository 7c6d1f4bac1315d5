"""What MLflow's S3 users have set means here what it means to MLflow and boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import InvalidInputError, UnsupportedError, VaultError
from mlflow_vault.store.remote.s3_settings import S3Settings, read_settings

if TYPE_CHECKING:
    from pathlib import Path

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "the-secret"}


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a user without profiles."""
    return {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }


def settings_of(*environments: dict[str, str], bucket: str = "models") -> S3Settings:
    """Read what all of *environments* say together."""
    together: dict[str, str] = {}
    for environment in environments:
        together |= environment
    return read_settings(together, bucket)


def test_defaults(nowhere: dict[str, str]) -> None:
    """Keys alone mean AWS itself, the bucket in the host's name, certificates checked."""
    settings = settings_of(nowhere, KEYS)

    assert (settings.endpoint, settings.region) == (None, "us-east-1")
    assert settings.virtual
    assert not settings.trusting
    assert not settings.certificates
    assert not settings.headers


def test_credentials(nowhere: dict[str, str]) -> None:
    """The keys that sign are those that are set; they expire soon, and are never shown."""
    settings = settings_of(nowhere, KEYS, {"AWS_SESSION_TOKEN": "token"})

    assert settings.credentials is not None
    found = settings.credentials()
    assert (found["access_key_id"], found["secret_access_key"]) == ("key", "the-secret")
    assert found["token"] == "token"
    assert found["expires_at"] is not None
    assert "the-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], 0),
        (["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], 0),
        (["AWS_ENDPOINT_URL"], 0),
    ],
)
def test_endpoint(nowhere: dict[str, str], names: list[str], expected: int) -> None:
    """MLflow's endpoint comes before S3's, and S3's before AWS's; the bucket is in the path."""
    endpoints = {name: f"http://host{number}:9000/" for number, name in enumerate(names)}

    settings = settings_of(nowhere, KEYS, endpoints)

    assert settings.endpoint == f"http://host{expected}:9000"
    assert not settings.virtual


def test_ignored_endpoint(nowhere: dict[str, str]) -> None:
    """AWS's endpoints can be ignored, as for boto3; MLflow's cannot."""
    ignored = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": "http://aws"}

    assert settings_of(nowhere, KEYS, ignored).endpoint is None
    mlflow = {"MLFLOW_S3_ENDPOINT_URL": "http://mlflow"}
    assert settings_of(nowhere, KEYS, ignored, mlflow).endpoint == "http://mlflow"


@pytest.mark.parametrize(
    ("style", "endpoint", "bucket", "expected"),
    [
        ("auto", "", "models", (True, None)),
        ("auto", "", "my.models", (False, None)),
        ("path", "", "models", (False, None)),
        ("auto", "https://host", "models", (False, "https://host")),
        ("virtual", "https://host:1", "models", (True, "https://models.host:1")),
    ],
)
def test_style(
    nowhere: dict[str, str], style: str, endpoint: str, bucket: str, expected: tuple[bool, str]
) -> None:
    """The bucket goes where boto3 would put it."""
    style_and_place = {
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": style,
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
    }

    settings = settings_of(nowhere, KEYS, style_and_place, bucket=bucket)

    assert (settings.virtual, settings.endpoint) == expected


def test_profile(nowhere: dict[str, str], tmp_path: Path) -> None:
    """A profile says what the environment does not; where both speak, the environment does."""
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = of-profile\naws_secret_access_key = s\n"
    )
    (tmp_path / "ca.pem").write_text("PEM")
    (tmp_path / "config").write_text(
        "[profile lab]\nregion = eu-west-1\nservices = ours\n"
        f"ca_bundle = {tmp_path}/ca.pem\ns3 =\n  addressing_style = virtual\n"
        "[services ours]\ns3 =\n  endpoint_url = https://host\n"
    )

    settings = settings_of(nowhere, {"AWS_PROFILE": "lab"})
    region = settings_of(nowhere, {"AWS_PROFILE": "lab", "AWS_DEFAULT_REGION": "eu-north-1"}).region

    assert settings.credentials is not None
    assert settings.credentials()["access_key_id"] == "of-profile"
    assert (settings.region, region) == ("eu-west-1", "eu-north-1")
    assert settings.endpoint == "https://models.host"
    assert settings.certificates == b"PEM"


def test_owner(nowhere: dict[str, str]) -> None:
    """The bucket's owner is named in every request."""
    settings = settings_of(nowhere, KEYS, {"MLFLOW_S3_EXPECTED_BUCKET_OWNER": "123"})

    assert settings.headers == {"x-amz-expected-bucket-owner": "123"}


def test_unsigned(nowhere: dict[str, str]) -> None:
    """A public bucket needs no credentials."""
    unsigned = {"MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION": "unsigned"}

    assert settings_of(nowhere, unsigned).credentials is None


def test_china(nowhere: dict[str, str]) -> None:
    """AWS in China has a domain of its own."""
    settings = settings_of(nowhere, KEYS, {"AWS_DEFAULT_REGION": "cn-north-1"})

    assert settings.endpoint == "https://models.s3.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"MLFLOW_S3_ENDPOINT_URL": "host:9000"}, InvalidInputError, "endpoint"),
        ({"MLFLOW_S3_ENDPOINT_URL": "https://u:hidden@host"}, InvalidInputError, "endpoint"),
        ({"MLFLOW_S3_IGNORE_TLS": "perhaps"}, InvalidInputError, "MLFLOW_S3_IGNORE_TLS"),
        ({"AWS_CA_BUNDLE": "/no/such/file"}, InvalidInputError, "AWS_CA_BUNDLE"),
        ({"MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "odd"}, InvalidInputError, "ADDRESSING_STYLE"),
        ({"AWS_PROFILE": "no-such-profile"}, InvalidInputError, "no-such-profile"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, UnsupportedError, "AWS_ENDPOINT_URL_S3"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, UnsupportedError, "AWS_ENDPOINT_URL_S3"),
        ({"MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION": "s3"}, UnsupportedError, "SIGNATURE"),
        ({"MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"X": "y"}'}, UnsupportedError, "EXTRA_ARGS"),
    ],
)
def test_refused(
    nowhere: dict[str, str], wrong: dict[str, str], error: type[VaultError], words: str
) -> None:
    """What cannot be kept is an error that names the setting, and repeats no secret."""
    with pytest.raises(error, match=words) as caught:
        settings_of(nowhere, KEYS, wrong)

    assert "hidden" not in str(caught.value)
