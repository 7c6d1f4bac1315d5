"""Make the small vault that every later release must still read: ``vault-1/``, format 1.

It holds every kind of object and every codec, made from seeds: clocks and ids hold still.  The
files that it holds are not kept, only their digests: ``vault-1.json``.  It is made once for each
format and then never again; what later releases write may differ, what they read may not::

    python tests/golden/make_vault.py tests/golden/vault-1
"""

from __future__ import annotations

import hashlib
import json
import sys
from itertools import count
from pathlib import Path

import numpy as np
from blake3 import blake3

from mlflow_vault.engine.world import World
from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, frame_json
from mlflow_vault.store.local import LocalStore
from mlflow_vault.testing.models import bfloat16, noise, npy, safetensors, trained, weights
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

RUN = "7/" + "0" * 32 + "/artifacts"
OTHER = "7/" + "1" * 32 + "/artifacts"
COPY = "7/models/m-" + "2" * 32 + "/artifacts"


def still_world() -> World:
    """Return a world of one thread in which nothing is random and no time passes."""
    numbers = count(1)
    return World(
        random=lambda size: hashlib.sha256(b"%d" % next(numbers)).digest()[:size],
        now=lambda: 1_800_000_000.0,
        monotonic=lambda: 0.0,
        threads=1,
    )


def files() -> dict[str, bytes]:
    """Return what the vault holds, in the order it is written."""
    # Few different numbers, many times: a file of megabytes whose chunks are small.
    table = np.tile(weights(0, 2_048), 540).reshape(-1, 64)
    updated = table.copy()
    updated[5::700] = trained(updated[5::700], 2, 1e-3)
    moved = trained(weights(5, 6_000), 6)
    first = {"embed": table, "layer": weights(5, 6_000), "bias": weights(7, 8)}
    text = b"".join(b"line %07d of a log that says little\n" % (n % 900) for n in range(60_000))
    return {
        f"{RUN}/model/MLmodel": b"flavors:\n  python_function: {}\n",
        f"{RUN}/empty": b"",
        f"{RUN}/model/w.safetensors": safetensors(first),
        f"{OTHER}/model/w.safetensors": safetensors({**first, "embed": updated, "layer": moved}),
        f"{COPY}/half.safetensors": safetensors({"embed": bfloat16(table)}),
        f"{OTHER}/half.safetensors": safetensors({"embed": bfloat16(updated)}),
        f"{RUN}/embed.npy": npy(table),
        f"{RUN}/log.txt": text + noise(8, 20_000),
        f"{OTHER}/log.txt": text.replace(b"line 0000450", b"LINE 0000450") + b"and one more\n",
        f"{RUN}/Ein langer Name, " + "ä" * 60: b"whose key has several pieces",
    }


def make(folder: Path) -> None:
    """Make the vault in *folder*, and its digests beside it."""
    store = LocalStore(folder)
    vault = Vault.init_at(store, still_world())
    held = files()
    for path, plain in held.items():
        write(vault, path, plain)
    # What transactions of ours and of later releases leave about.
    store.put(f"{layout.INTENTS}{0:032x}", frame_json(Kind.INTENT, {"transaction": f"{0:032x}"}))
    condemned = frame_json(Kind.CONDEMNED, {"packs": ["00" * 16]})
    store.put(f"{layout.CONDEMNED}{0:032x}", condemned)
    sealed = f"{OTHER}/model"
    seal = frame_json(Kind.SEAL, {"path": sealed, "version": "models:/golden/1"})
    store.put(layout.seal_key(sealed), seal)
    expected = {path: [len(plain), blake3(plain).hexdigest()] for path, plain in held.items()}
    text = json.dumps(expected, indent=1, ensure_ascii=False) + "\n"
    folder.with_suffix(".json").write_text(text, encoding="utf-8")
    (folder / "tmp").rmdir()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
