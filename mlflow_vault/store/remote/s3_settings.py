"""What MLflow's S3 users have set already, read for `store.remote.s3`.

Whoever logs to ``s3://`` has told MLflow and boto3 how; a vault there asks for nothing more.
Two places are read, the environment first:

    MLFLOW_S3_*, AWS_*  ->  S3Settings  <-  ~/.aws/config, ~/.aws/credentials, roles

Credentials come from botocore, which knows profiles, SSO, web identities, containers and
instances; only what is signed with them goes another way.  A setting that cannot be kept is an
error: bytes that were to be encrypted with somebody's key never go up without it.

Tuning that is botocore's own (``AWS_MAX_ATTEMPTS``, ``AWS_RETRY_MODE``, checksums calculated
"when required") means nothing here: `store.remote.retries` says how often, and S3 checks every body
against the digest that is signed with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from mlflow_vault.errors import InvalidInputError, UnsupportedError
from mlflow_vault.store.remote.s3_uploads import Uploads, read_uploads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.credentials import Credentials
    from obstore.store import S3Credential

_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False, "": False}
# botocore renews what expires within ten minutes, so what it gave is good for five.
_LIFETIME: Final = timedelta(minutes=5)
# A port, a path, an address of either kind: whatever else stands in a URL, obstore panics at.
_ENDPOINT: Final = re.compile(
    r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?\Z"
)
_MOST_PORTS: Final = 65535


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How to reach a bucket.

    Attributes:
        endpoint: The server's URL, with the bucket in its host if `virtual`; None for AWS's own.
        region: The bucket's.
        virtual: Whether the bucket is in the host's name instead of the path.
        headers: Sent, signed, with every request.
        uploads: What goes up with every object besides.
        certificates: PEM of authorities to trust besides the system's, empty for none.
        trusting: Whether any certificate will do.
        credentials: What signs; None signs nothing.
    """

    endpoint: str | None
    region: str
    virtual: bool
    headers: Mapping[str, str]
    uploads: Uploads
    certificates: bytes
    trusting: bool
    credentials: SigningKeys | None = field(repr=False)


class SigningKeys:
    """Asks botocore for the keys of the moment, whenever those before have run out."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __call__(self) -> S3Credential:
        """Return keys that are good for some minutes."""
        keys = self._credentials.get_frozen_credentials()
        _check_header("AWS_ACCESS_KEY_ID", keys.access_key or "")
        _check_header("AWS_SESSION_TOKEN", keys.token or "")
        return {
            "access_key_id": keys.access_key or "",
            "secret_access_key": keys.secret_key or "",
            "token": keys.token,
            "expires_at": datetime.now(UTC) + _LIFETIME,
        }


def read_settings(environment: Mapping[str, str], bucket: str) -> S3Settings:
    """Read how to reach *bucket*.

    botocore's own sources of roles (web identities, containers, instances) are read from the
    environment of the process.

    Raises:
        InvalidInputError: A setting cannot mean anything, or there are no credentials.
        UnsupportedError: A setting cannot be kept.
    """
    session = _session(environment)
    profile: dict[str, Any] = session.get_scoped_config()
    region = (
        environment.get("AWS_DEFAULT_REGION")
        or environment.get("AWS_REGION")
        or profile.get("region")
        or "us-east-1"
    )
    _check_header("AWS_DEFAULT_REGION", region)
    endpoint = _endpoint(environment, session)
    virtual = _is_virtual(environment, profile, bucket, endpoint)
    if endpoint is None:
        _refuse_variants(environment, profile)
        if region.startswith("cn-"):  # obstore knows the hosts of one partition only
            endpoint = f"https://s3.{region}.amazonaws.com.cn"
    if endpoint is not None and virtual:
        endpoint = endpoint.replace("://", f"://{bucket}.", 1)
    owner = environment.get("MLFLOW_S3_EXPECTED_BUCKET_OWNER", "")
    _check_header("MLFLOW_S3_EXPECTED_BUCKET_OWNER", owner)
    return S3Settings(
        endpoint=endpoint,
        region=region,
        virtual=virtual,
        headers={"x-amz-expected-bucket-owner": owner} if owner else {},
        uploads=read_uploads(environment.get("MLFLOW_S3_UPLOAD_EXTRA_ARGS", "")),
        certificates=_certificates(environment, profile),
        trusting=_boolean(environment, "MLFLOW_S3_IGNORE_TLS"),
        credentials=_credentials(environment, session),
    )


def _session(environment: Mapping[str, str]) -> Session:
    name = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    session = Session(profile=name)
    for variable, setting in (
        ("AWS_CONFIG_FILE", "config_file"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials_file"),
    ):
        if environment.get(variable):
            session.set_config_variable(setting, environment[variable])
    _set_credentials(environment, session)
    try:
        session.get_scoped_config()
    except BotoCoreError as cause:
        raise InvalidInputError(f"AWS's settings cannot be read: {cause}") from cause
    return session


def _set_credentials(environment: Mapping[str, str], session: Session) -> None:
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    token = environment.get("AWS_SESSION_TOKEN")
    _check_header("AWS_ACCESS_KEY_ID", key or "")
    _check_header("AWS_SECRET_ACCESS_KEY", secret or "")
    _check_header("AWS_SESSION_TOKEN", token or "")
    if key and secret:
        session.set_credentials(key, secret, token)


def _credentials(environment: Mapping[str, str], session: Session) -> SigningKeys | None:
    version = environment.get("MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION", "s3v4").lower()
    if version == "unsigned":
        return None
    if version != "s3v4":
        raise UnsupportedError(
            f"MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION={version}: a vault signs with s3v4, or not "
            "at all (unsigned)"
        )
    try:
        found = session.get_credentials()
    except BotoCoreError as cause:
        raise InvalidInputError(f"AWS's credentials cannot be read: {cause}") from cause
    if found is None:
        raise InvalidInputError(
            "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE, or give this machine a role"
        )
    return SigningKeys(found)


def _endpoint(environment: Mapping[str, str], session: Session) -> str | None:
    """Return the endpoint that was set, in the order in which MLflow and boto3 look."""
    found = environment.get("MLFLOW_S3_ENDPOINT_URL")
    profile: dict[str, Any] = session.get_scoped_config()
    ignored = environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or profile.get(
        "ignore_configured_endpoint_urls", ""
    )
    if not found and str(ignored).lower() != "true":
        services = session.full_config.get("services", {}).get(profile.get("services"), {})
        found = (
            environment.get("AWS_ENDPOINT_URL_S3")
            or environment.get("AWS_ENDPOINT_URL")
            or services.get("s3", {}).get("endpoint_url")
            or profile.get("endpoint_url")
        )
    if not found:
        return None
    matched = _ENDPOINT.match(found)
    if matched is None or int((matched[2] or ":0")[1:]) > _MOST_PORTS:
        # Not repeated: it may hold a password.
        raise InvalidInputError(
            "the S3 endpoint that is set is no URL: write https://host or http://host:port"
        )
    return found.rstrip("/")


def _check_header(name: str, value: str) -> None:
    """Refuse what fits no header, such as the line's end that came along out of a file.

    obstore panics at it, with what no `except Exception` catches.
    """
    if not value.isascii() or not value.isprintable() or value != value.strip():
        # Not repeated: it may be a secret.
        raise InvalidInputError(
            f"{name} has a space or a line's end around it, or a letter that fits no header: "
            "set it without"
        )


def _is_virtual(
    environment: Mapping[str, str], profile: dict[str, Any], bucket: str, endpoint: str | None
) -> bool:
    """Return whether the bucket goes into the host's name, as boto3 would decide."""
    of_profile = profile.get("s3")
    style = environment.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE") or (
        of_profile.get("addressing_style", "auto") if isinstance(of_profile, dict) else "auto"
    )
    if style not in {"auto", "path", "virtual"}:
        raise InvalidInputError(
            f"MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE={style}: it is auto, path or virtual"
        )
    # With a dot in it, or a capital, no certificate fits the host's name.
    return style == "virtual" or (
        style == "auto" and endpoint is None and "." not in bucket and bucket == bucket.lower()
    )


def _refuse_variants(environment: Mapping[str, str], profile: dict[str, Any]) -> None:
    for variable, setting in (
        ("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
    ):
        if str(environment.get(variable) or profile.get(setting, "")).lower() == "true":
            raise UnsupportedError(
                f"{variable} is set, and a vault does not know those hosts: name the one to use in "
                "AWS_ENDPOINT_URL_S3"
            )


def _certificates(environment: Mapping[str, str], profile: dict[str, Any]) -> bytes:
    path = (
        environment.get("AWS_CA_BUNDLE")
        or profile.get("ca_bundle")
        or environment.get("REQUESTS_CA_BUNDLE")
    )
    if not path:
        return b""
    try:
        found = Path(path).expanduser().read_bytes()
    except OSError as cause:
        raise InvalidInputError(
            f"the certificates at {path} (AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE) cannot be read: "
            f"{cause.strerror}"
        ) from cause
    if not found:
        raise InvalidInputError(f"there are no certificates in {path} (AWS_CA_BUNDLE)")
    return found


def _boolean(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").lower()
    if value not in _BOOLEANS:
        raise InvalidInputError(f"{name}={value}: it is true or false")
    return _BOOLEANS[value]
