"""The commands that show, check and give back what is in a vault."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.answer import Answer, count_text, share_text, shown, size_text, table
from mlflow_vault.cli.location import address_of, find_something, find_vault
from mlflow_vault.errors import CorruptionError, InvalidInputError, VaultError
from mlflow_vault.fluent import Vault, vault_of
from mlflow_vault.govern.references import is_reference
from mlflow_vault.progress import is_watched, progress_bar
from mlflow_vault.store.address import FILE, Address

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from mlflow_vault.engine.tree import Item

_UNFINISHED: Final = {"tmp", "hints"}  # what an `init` that was killed leaves behind
_NAMED: Final = 3  # files named in a refusal


def init(arguments: Namespace) -> Answer:
    """Make a vault, or say that there is one.

    Raises:
        InvalidInputError: The place lies inside a vault, or holds something else.
    """
    address = address_of(arguments.where)
    found = Vault.find(str(address))
    if found is not None and found[1]:
        raise InvalidInputError(f"{address} lies inside the vault {found[0].uri}; use that one")
    if found is None:
        _refuse_occupied(address)
    vault = found[0] if found else Vault.init(str(address))
    verb = "There is a vault at" if found else "Made a vault at"
    return Answer(
        {"vault": vault.uri, "id": vault.identity.id, "is_new": found is None},
        [f"{verb} {vault.uri}"],
    )


def ls(arguments: Namespace) -> Answer:
    """List files and folders.

    Raises:
        NotFoundError: There is nothing at that place.
    """
    vault, path = find_something(arguments.where)
    items = list(_items(vault, path, recursive=arguments.recursive))
    start = len(path) + 1 if path else 0
    names = [
        shown(item.path[start:] or item.path) + ("/" if item.is_folder else "") for item in items
    ]
    if arguments.long:
        sizes = ["-" if item.size is None else size_text(item.size) for item in items]
        width = max(map(len, sizes), default=0)
        names = [f"{size:>{width}}  {name}" for size, name in zip(sizes, names, strict=True)]
    return Answer(
        {
            "vault": vault.uri,
            "path": path,
            "items": [
                {"path": item.path, "size": item.size, "is_folder": item.is_folder}
                for item in items
            ],
        },
        names,
    )


def stats(arguments: Namespace) -> Answer:
    """Say what a vault holds and what it costs.

    Raises:
        CorruptionError: An entry is damaged.
    """
    vault, _ = find_vault(arguments.where)
    found = vault.stats()
    figures = [
        ("logical", size_text(found.logical), "what MLflow alone would store"),
        ("stored", size_text(found.stored), share_text(found.stored, found.logical)),
        ("saved", size_text(found.logical - found.stored), f"{100 * found.saved:.1f} %"),
        ("unreferenced", size_text(found.unreferenced), "packs that no file needs"),
        ("overhead", size_text(found.overhead), "entries, frames, hints, records"),
    ]
    lines = [f"{vault.uri}: {count_text(found.files, 'file')}", ""]
    lines += [f"{name:<13} {size:>10}  {note}" for name, size, note in figures]
    lines += ["", *table(("coding", "stored"), _sizes(found.by_coding))]
    experiments = [
        (shown(name), f"{files:,}", size_text(size))
        for name, (files, size) in found.by_experiment.items()
    ]
    lines += ["", *table(("experiment", "files", "logical"), experiments)]
    return Answer({"vault": vault.uri, **found.to_dict()}, lines)


def verify(arguments: Namespace) -> Answer:
    """Read every file and compare it with its digests.

    Raises:
        NotFoundError: There is nothing at that place.
    """
    vault, path = _version_or_place(arguments.where)
    with _bar("verifying", arguments, vault, path) as progress:
        found = vault.verify(path, progress=progress)
    counted = f"{count_text(found.files, 'file')}, {size_text(found.size)}"
    lines = [f"{shown(damage.path)}: {shown(damage.reason)}" for damage in found.damaged]
    if found.is_whole:
        lines.append(f"{counted}: every byte is as it was written")
    else:
        lines.append(f"{counted} read; {count_text(len(found.damaged), 'damaged file')}")
    return Answer({"vault": vault.uri, "path": path, **found.to_dict()}, lines, found.is_whole)


def export(arguments: Namespace) -> Answer:
    """Write plain files back, each verified; a damaged one is named and left out.

    Raises:
        InvalidInputError: The destination is no folder, lies in a vault or holds other files.
        StorageError: It cannot be written; files before were.
    """
    vault, path = find_something(arguments.where)
    destination: Path = arguments.destination
    _refuse_destination(destination)
    if not arguments.force:
        _refuse_overwriting(vault, path, destination)
    with _bar("exporting", arguments, vault, path) as progress:
        found = vault.export(path, destination, progress=progress)
    lines = [f"{shown(damage.path)}: {shown(damage.reason)}" for damage in found.damaged]
    written = f"{count_text(found.files, 'file')}, {size_text(found.size)}"
    lines.append(f"Wrote {written}, to {shown(str(destination))}")
    if not found.is_whole:
        lines.append(f"Left out {count_text(len(found.damaged), 'damaged file')}")
    values = {"vault": vault.uri, "path": path, "destination": str(destination)}
    return Answer({**values, **found.to_dict()}, lines, found.is_whole)


def _version_or_place(where: str) -> tuple[Vault, str]:
    if is_reference(where):
        return vault_of(where), where
    with suppress(CorruptionError):  # what is wrong with something is for the result to say
        find_something(where)
    return find_vault(where)


def _items(vault: Vault, path: str, *, recursive: bool) -> Iterator[Item]:
    here = vault.stat(path)
    if here is not None and not here.is_folder:
        yield here
    for item in vault.list(path):
        if recursive and item.is_folder:
            yield from _items(vault, item.path, recursive=True)
        else:
            yield item


def _sizes(sizes: dict[str, int]) -> list[tuple[str, str]]:
    return [(name, size_text(size)) for name, size in sizes.items()]


def _bar(
    title: str, arguments: Namespace, vault: Vault, path: str
) -> AbstractContextManager[Callable[[int], None]]:
    """A bar over the bytes at and below *path*, which are added up only if somebody looks."""
    if arguments.no_progress or not is_watched():
        return nullcontext(lambda _: None)
    try:
        total = sum(item.size or 0 for item in _items(vault, path, recursive=True))
    except VaultError:
        return progress_bar(title)  # what is wrong is for the command to say
    return progress_bar(title, total)


def _refuse_occupied(address: Address) -> None:
    if address.scheme != FILE:
        return
    try:
        names = {entry.name for entry in Path(address.path).iterdir()}
    except OSError:
        return  # not there, or not readable: making the vault will say so
    if names - _UNFINISHED:
        raise InvalidInputError(
            f"{address.path} holds other files; give a new or an empty folder for the vault"
        )


def _refuse_destination(destination: Path) -> None:
    if destination.exists() and not destination.is_dir():
        raise InvalidInputError(f"{destination} is no folder; give one to export to")
    found = Vault.find(str(Address.of_path(destination)))
    if found is not None:
        raise InvalidInputError(
            f"{destination} lies inside the vault {found[0].uri}; export to a folder outside"
        )


def _refuse_overwriting(vault: Vault, path: str, destination: Path) -> None:
    """Let an export that stopped half-way be repeated, and nothing else be lost."""
    differing = [
        str(target)
        for name, target in vault.targets(path, destination)
        if os.path.lexists(target) and not _is_same(vault, name, target)
    ]
    if differing:
        more = ", ..." if len(differing) > _NAMED else ""
        raise InvalidInputError(
            f"nothing was written, as {count_text(len(differing), 'file')} would be replaced: "
            f"{', '.join(differing[:_NAMED])}{more}; export elsewhere, or pass --force"
        )


def _is_same(vault: Vault, name: str, target: Path) -> bool:
    item = vault.stat(name)
    if item is None or not target.is_file() or target.stat().st_size != item.size:
        return False
    with target.open("rb") as file:
        return all(file.read(len(piece)) == piece for piece in vault.iter_file(name))
