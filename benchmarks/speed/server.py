"""The S3 server of the measurement, with the link before it: what S3 subjects need to run."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
from botocore.config import Config

from speed.ceph import BUCKET, KEY, SECRET, Ceph
from speed.link import SERVER, Link

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from speed.meter import Cost

PROBE: Final = 64 << 20  # bytes of one object, put and got
# By the first part of a key below the vault: what a request is made for.
KINDS: Final = ("packs", "hints", "tree", "intents", "outcomes", "notices", "seals", "vault.json")


class Server:
    """Ceph behind a link; use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._link = Link()

    def __enter__(self) -> Self:
        self._link.__enter__()
        self._ceph = Ceph(self._folder, SERVER, self._link.inside)
        try:
            self._ceph.start()
            self.client: Any = boto3.client(
                "s3",
                endpoint_url=self._ceph.url,
                aws_access_key_id=KEY,
                aws_secret_access_key=SECRET,
                region_name="us-east-1",
                config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
            )
            self.client.create_bucket(Bucket=BUCKET)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ceph.stop()
        time.sleep(0.5)
        self._link.__exit__()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """What MLflow, boto3 and the vault read."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self._ceph.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def set_link(self, link: str) -> None:
        """Make the link as fast as *link* of `link.LINKS`."""
        self._link.set(link)

    def watched(self, call: Callable[[], Cost]) -> Cost:
        """Return the cost of *call* with what it asked of the server."""
        self._ceph.requests()
        sent, received = self._link.moved()
        cpu = self._ceph.cpu_seconds()
        cost = call()
        cost.server_cpu = self._ceph.cpu_seconds() - cpu
        now = self._link.moved()
        cost.sent, cost.received = now[0] - sent, now[1] - received
        asked: Counter[str] = Counter()
        for (method, key), count in self._ceph.requests().items():
            asked[f"{method} {_kind(key)}"] += count
        cost.requests = dict(asked)
        return cost

    def tidy(self) -> None:
        """Free the memory of what was deleted."""
        self._link.set("free")
        self._ceph.forget_deleted()

    def throughput(self) -> dict[str, float]:
        """Bytes a second: a plain transfer over the link, and one object put and got."""
        up, down = self._link.probe()
        body = os.urandom(1 << 20) * (PROBE >> 20)
        self.client.put_object(Bucket=BUCKET, Key="probe", Body=b"the first one makes pools")
        started = time.perf_counter()
        self.client.put_object(Bucket=BUCKET, Key="probe", Body=body)
        middle = time.perf_counter()
        self.client.get_object(Bucket=BUCKET, Key="probe")["Body"].read()
        ended = time.perf_counter()
        self.client.delete_object(Bucket=BUCKET, Key="probe")
        put, got = PROBE / (middle - started), PROBE / (ended - middle)
        return {"up": up, "down": down, "put": put, "get": got}

    @property
    def delayed(self) -> bool:
        """Whether throttled links have a delay, which asks for netem in the kernel."""
        return self._link.delayed


def _kind(key: str) -> str:
    parts = key.split("/")
    return next((part for part in parts if part in KINDS), "file")
