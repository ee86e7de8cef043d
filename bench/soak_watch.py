"""Looks at a gateway from outside while a soak runs: its health page, and what the system knows of its processes."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import trio

from bench.drift import Sample
from bench.loadtests import number
from engine.loadtest.gateway import Started
from engine.loadtest.processes import Usage

EVERY_S = 2.0
ASKING_S = 2.0


class Watch:
    """``samples`` grow while ``run`` runs."""

    def __init__(self, started: Started, data_dir: Path, *, embed_port: int | None = None) -> None:
        """``data_dir``: the gateway's, whose own database serves it; ``embed_port``: where its embeddings come from."""
        self._started = started
        self._embed_port = embed_port
        self._postmaster = data_dir / "postgres" / "cluster" / "postmaster.pid"
        self.samples: list[Sample] = []

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        began = at = trio.current_time()
        task_status.started()
        async with httpx.AsyncClient(trust_env=False, timeout=ASKING_S) as http:
            while True:
                pages = [await _page(http, url) for url in self._started.health_urls]
                # In a thread: to look at a thousand descriptors takes longer than callers would forgive.
                self.samples.append(await trio.to_thread.run_sync(self._look, at - began, pages))
                at += EVERY_S
                await trio.sleep_until(at)

    def _look(self, at_s: float, pages: Sequence[object]) -> Sample:
        usage = Usage.of(self._started.server)
        connections = sum(map(_serves_a_client, self._database()))
        return Sample(
            at_s=round(at_s, 1),
            calls=_sum(pages, "calls.now"),
            cpu_s=round(usage.cpu_s, 2),
            rss_mib=round(usage.rss_mib, 2),
            tasks=_sum(pages, "process.tasks"),
            threads=sum(map(_threads, self._started.server)),
            sockets=sum(map(_sockets, self._started.server)) - connections - _connected_to(self._embed_port),
            connections=connections,
        )

    def _database(self) -> Sequence[psutil.Process]:
        # By the server's own word: it is kept as nobody's child, so that it can outlive whoever started it.
        try:
            return psutil.Process(int(self._postmaster.read_text("utf-8").split()[0])).children()
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return ()


async def _page(http: httpx.AsyncClient, url: str) -> object:
    try:
        return (await http.get(url)).json()
    except (httpx.HTTPError, ValueError):
        return None


def _sum(pages: Sequence[object], path: str) -> int | None:
    found = [number(page, path) for page in pages]
    return None if None in found else int(sum(value for value in found if value is not None))


def _threads(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return process.num_threads()
    return 0


def _sockets(process: psutil.Process) -> int:
    """Counted by hand: to be told what each is connected to, as psutil would, costs a hundred times as much."""
    folder, count = f"/proc/{process.pid}/fd", 0
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):  # closed meanwhile
                count += os.readlink(f"{folder}/{name}").startswith("socket:")
    return count


def _connected_to(port: int | None) -> int:
    """Connections to a port of this machine, of whomever: a client keeps some open, for its next request."""
    count = 0
    with suppress(OSError):
        for row in Path("/proc/net/tcp").read_text("utf-8").splitlines()[1:]:
            remote = row.split()[2]
            count += int(remote.rpartition(":")[2], 16) == port
    return count


def _serves_a_client(process: psutil.Process) -> bool:
    """Is it PostgreSQL's end of a connection? Its title then names the client: ``[local]``, or an address."""
    with suppress(psutil.NoSuchProcess):
        title = " ".join(process.cmdline())
        return title.startswith("postgres:") and ("[local]" in title or "127.0.0.1(" in title)
    return False
