"""Each of our errors has one meaning for MLflow."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from mlflow_vault import errors
from mlflow_vault.plugin.translate import SpoolFullError, translated, verify_path


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (errors.InvalidInputError("x"), "INVALID_PARAMETER_VALUE", 400),
        (errors.NotFoundError("x"), "RESOURCE_DOES_NOT_EXIST", 404),
        (errors.ConflictError("x"), "RESOURCE_CONFLICT", 409),
        (errors.SealedError("x"), "PERMISSION_DENIED", 403),
        (errors.SourceChangedError("x"), "ABORTED", 409),
        (errors.CorruptionError("x", "y"), "DATA_LOSS", 500),
        (errors.UnsupportedError("x"), "NOT_IMPLEMENTED", 501),
        (errors.StorageError("x"), "TEMPORARILY_UNAVAILABLE", 503),
        (errors.VaultError("x"), "INTERNAL_ERROR", 500),
    ],
)
def test_codes(error: errors.VaultError, code: str, status: int) -> None:
    """An error keeps its message and its cause, and gets the code that a caller acts on."""
    with pytest.raises(MlflowException) as caught, translated():
        raise error

    assert (caught.value.error_code, caught.value.get_http_status_code()) == (code, status)
    assert caught.value.message == str(error)
    assert caught.value.__cause__ is error


def test_every_error_is_translated() -> None:
    """No error of ours is left to be an internal one by accident."""
    for kind in errors.VaultError.__subclasses__():
        error = kind("x", "y") if kind is errors.CorruptionError else kind("x")
        with pytest.raises(MlflowException) as caught, translated():
            raise error
        assert caught.value.error_code != "INTERNAL_ERROR"


def test_the_rest_passes() -> None:
    """What is not ours goes through untouched."""
    with pytest.raises(KeyError), translated():
        raise KeyError("x")


def test_no_room() -> None:
    """Too many unfinished uploads are a 507."""
    assert SpoolFullError("x").get_http_status_code() == 507


def test_hidden_locations(caplog: pytest.LogCaptureFixture) -> None:
    """A message leaves out what a client may not know; of a failure the log has it."""
    hidden = ("vault-file:///srv/ml", "/srv/ml")

    with pytest.raises(MlflowException) as missing, translated(hidden):
        raise errors.NotFoundError("nothing at x in vault-file:///srv/ml")
    assert caplog.text == ""
    with pytest.raises(MlflowException) as broken, translated(hidden):
        raise errors.StorageError("/srv/ml/packs/aa cannot be read")

    assert missing.value.message == "nothing at x in [artifact root]"
    assert broken.value.message == "[artifact root]/packs/aa cannot be read"
    assert "/srv/ml/packs/aa" in caplog.text


@pytest.mark.parametrize("path", ["..;/a", "../a", "/a", "a//b"])
def test_paths_that_mlflow_refuses(path: str) -> None:
    """A path that MLflow refuses is the client's mistake, and not to be tried again."""
    with pytest.raises(MlflowException) as error:
        verify_path(path)

    assert error.value.get_http_status_code() == 400
