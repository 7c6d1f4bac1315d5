"""MLflow's artifact repository over a vault: the door every artifact goes through.

MLflow makes a repository for each location it meets, on clients and in servers, often and
for a single call.  So making one costs next to nothing: the vault behind it is looked for
at the first use, again in each forked process, and by the first write made where MLflow's
layout (`layout`) or the server's own settings (`guard`) say that it belongs:

    mlflow.log_artifact --> VaultArtifactRepository --> Vault.write_file("7/<run>/artifacts/...")
                              location -> vault + path below it

What a path or a name may be is the vault's decision; what MLflow hears of it is
`translate`'s.
"""

from __future__ import annotations

import errno
import logging
import os
import posixpath
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow.store.artifact.artifact_repo as mlflow_repository
from mlflow.entities import FileInfo

from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.plugin.guard import HostPolicy
from mlflow_vault.plugin.layout import default_root, suggested_root
from mlflow_vault.plugin.streams import (
    UPLOADS_AT_ONCE,
    CountedStream,
    SpoolLimit,
    read_in_thread,
)
from mlflow_vault.plugin.translate import translated, verify_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterable
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from mlflow_vault.vault import Vault

_logger = logging.getLogger(__name__)

# MLflow 3.15 and later hand a server's uploads over as they arrive; before, as files.
_Streams: Any = getattr(mlflow_repository, "StreamUploadMixin", object)
_SHOWN: Final = 3  # sealed paths named in a warning


class VaultArtifactRepository(mlflow_repository.ArtifactRepository, _Streams):  # type: ignore[misc]
    """One location's artifacts, kept in the vault at or above it.

    Safe to share between threads and to carry through a fork.

    Args:
        artifact_uri: A location such as ``vault-file:///srv/ml/7/<run>/artifacts``.
        tracking_uri: As MLflow passes it; kept, not used.
        registry_uri: As MLflow passes it; kept, not used.

    Raises:
        MlflowException: The location climbs, or is none that this server may open.
    """

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        with translated():
            self._policy = HostPolicy.from_environment(os.environ)
            self._address = self._policy.check(artifact_uri)
        self._found: tuple[int, Vault, str] | None = None
        self._threads: dict[int, ThreadPoolExecutor] = {}
        self._uploads: dict[int, tuple[ThreadPoolExecutor, SpoolLimit]] = {}
        super().__init__(artifact_uri, tracking_uri, registry_uri)

    def __repr__(self) -> str:
        # MLflow's own names the tracking server too, whose URI may have a password in it.
        return f"{type(self).__name__}({str(getattr(self, '_address', ''))!r})"

    # Where artifacts are.

    def log_artifact(self, local_file: str | Path, artifact_path: str | None = None) -> None:
        """Store *local_file* in the folder *artifact_path*, replacing what has its name."""
        verify_path(artifact_path)
        if stat.S_ISDIR(os.stat(local_file).st_mode):  # noqa: PTH116 - MLflow passes str or Path
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(local_file))
        with self._translated():
            vault, root = self._vault_to_write()
            name = os.path.basename(local_file)  # noqa: PTH119 - as above
            vault.write_file(Path(local_file), _join(root, _relative(artifact_path), name))

    def log_artifacts(self, local_dir: str | Path, artifact_path: str | None = None) -> None:
        """Merge the files below *local_dir* into the folder *artifact_path*."""
        verify_path(artifact_path)
        with self._translated():
            vault, root = self._vault_to_write()
            vault.write_folder(Path(local_dir), _join(root, _relative(artifact_path)))

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return what lies directly below *path*, sorted; nothing for a file."""
        with self._translated():
            relative = _relative(path)
            found = self._vault()
            if found is None:
                return []
            vault, root = found
            start = len(root) + 1 if root else 0
            return [
                FileInfo(item.path[start:], item.is_folder, item.size)
                for item in vault.list(_join(root, relative))
            ]

    def download_artifacts(self, artifact_path: str | None, dst_path: str | None = None) -> str:
        """Download the file or folder *artifact_path* below *dst_path* and return its path.

        Raises:
            MlflowException: There is no such artifact (`RESOURCE_DOES_NOT_EXIST`); MLflow
                before 3.12 would call it an internal error.
        """
        if artifact_path:
            self._stat(artifact_path)
        downloaded: str = super().download_artifacts(artifact_path, dst_path)
        return downloaded

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete what lies at and below *artifact_path*, except what is sealed.

        Sealed paths are kept with a warning rather than an error, because `mlflow gc`
        gives up on everything that is left at the first error.
        """
        with self._translated():
            relative = _relative(artifact_path)
            found = self._vault()
            if found is None:
                return
            vault, root = found
            kept = vault.delete(_join(root, relative))
        if kept:
            _logger.warning(
                "Kept %d sealed artifact(s) that a registered version pins: %s%s",
                len(kept),
                ", ".join(kept[:_SHOWN]),
                ", ..." if len(kept) > _SHOWN else "",
            )

    def get_local_path(self, artifact_path: str) -> None:
        """Return None, as no artifact is a plain file on the server's disk.

        The server asks before it answers a download; without the errors a folder would
        come back as an empty file.

        Raises:
            MlflowException: There is no such artifact, or it is a folder.
        """
        if self._stat(artifact_path):
            raise mlflow_repository.MlflowException.invalid_parameter_value(
                f"{artifact_path} is a folder, not a file; list it and download its files"
            )

    # Uploads through the proxy.

    def log_artifact_from_stream(
        self, stream: BinaryIO, artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Store what *stream* yields as *artifact_file_name* in the folder *artifact_path*."""
        verify_path(artifact_path)
        name = posixpath.basename(artifact_file_name)
        with self._translated():
            if not name:
                raise InvalidInputError(f"{artifact_file_name!r} does not name a file")
            vault, root = self._vault_to_write()
            _, limit = self._upload_means()
            with limit.upload() as take:
                counted: Any = CountedStream(stream, take)
                vault.write_stream(counted, _join(root, _relative(artifact_path), name))

    async def log_artifact_from_async_stream(
        self,
        chunks: AsyncIterable[bytes],
        artifact_file_name: str,
        artifact_path: str | None = None,
    ) -> None:
        """Do `log_artifact_from_stream` with *chunks*, off the event loop."""
        with self._translated():
            threads, _ = self._upload_means()

        def read(stream: BinaryIO) -> None:
            self.log_artifact_from_stream(stream, artifact_file_name, artifact_path)

        await read_in_thread(aiter(chunks), read, threads)

    # What MLflow's own methods build on.

    def _download_file(self, remote_file_path: str, local_path: str | Path) -> None:
        with self._translated():
            vault, below = self.place(remote_file_path)
            vault.read_file(below, Path(local_path))

    @property
    def thread_pool(self) -> ThreadPoolExecutor:
        """The threads MLflow downloads with: a parent's are gone after a fork."""
        threads = self._threads.get(os.getpid())
        return threads or self._threads.setdefault(os.getpid(), self._create_thread_pool())

    @thread_pool.setter
    def thread_pool(self, threads: ThreadPoolExecutor) -> None:
        self._threads[os.getpid()] = threads

    # Which vault.

    def place(self, artifact_path: str) -> tuple[Vault, str]:
        """Return the vault that *artifact_path* would be in, and its path from there.

        Raises:
            InvalidInputError: The path climbs or is absolute.
            NotFoundError: There is no vault here.
        """
        below = _join("", _relative(artifact_path))
        found = self._vault()
        if found is None:
            raise NotFoundError(
                f"no such artifact: {artifact_path} (no vault holds {self._address})"
            )
        vault, root = found
        return vault, _join(root, below)

    def _vault(self) -> tuple[Vault, str] | None:
        """Return the vault at or above this location and the path below it, if there is one."""
        if self._found is None or self._found[0] != os.getpid():
            # Every `import mlflow` loads this module; the engine behind a vault costs more
            # than a client that never touches one should pay.
            from mlflow_vault.vault import Vault  # noqa: PLC0415

            found = Vault.find(str(self._address))
            if found is None:
                return None
            self._found = os.getpid(), *found
        _, vault, root = self._found
        return vault, root

    def _vault_to_write(self) -> tuple[Vault, str]:
        found = self._vault()
        if found is not None:
            return found
        uri = str(self._address)
        inside = self._policy.inside
        root = self._policy.own_root(self._address) if inside else default_root(uri)
        if root is None:
            raise InvalidInputError(
                f"no vault lies at or above {uri}, and it is not laid out as below MLflow's "
                f"default artifact root. To make one, type: mlflow-vault init {suggested_root(uri)}"
            )
        from mlflow_vault.vault import Vault  # noqa: PLC0415 - see `_vault`

        Vault.init(root)
        made = self._vault()
        if made is None:
            raise NotFoundError(f"the vault made at {root} is gone again")
        _logger.info("Made a vault at %s", root)
        return made

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self._policy.hidden())

    def _stat(self, path: str) -> bool:
        """Return whether *path* is a folder; raise if there is no such artifact."""
        with self._translated():
            vault, below = self.place(path)
            item = vault.stat(below)
            if item is None:
                raise NotFoundError(f"no such artifact: {path}")
            return bool(item.is_folder)

    def _upload_means(self) -> tuple[ThreadPoolExecutor, SpoolLimit]:
        means = self._uploads.get(os.getpid())
        if means is None:
            threads = ThreadPoolExecutor(UPLOADS_AT_ONCE, thread_name_prefix="vault-upload")
            limit = SpoolLimit.from_environment(os.environ)
            means = self._uploads.setdefault(os.getpid(), (threads, limit))
        return means


def _relative(path: str | None) -> str:
    """Spell an artifact path plainly: ``a//b/`` is ``a/b``.  What climbs, still does."""
    if not path or path.startswith("/"):
        return path or ""
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def _join(*parts: str) -> str:
    absolute = next((part for part in parts[1:] if part.startswith("/")), None)
    if absolute is not None:
        raise InvalidInputError(f"{absolute!r} is absolute; give it relative to its run")
    return "/".join(part for part in parts if part)
