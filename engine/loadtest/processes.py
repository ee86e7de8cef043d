"""The processes of a load test: started, pinned, read, measured, and ended with it."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE

import psutil
import trio

ENDING_S = 10.0
# Threads of BLAS would spin on the core that another process is measured on.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far, resident memory, threads and open descriptors, of some processes together."""

    cpu_s: float
    rss_mib: float
    threads: int
    descriptors: int

    @classmethod
    def of(cls, processes: Sequence[psutil.Process]) -> "Usage":
        """Those that have ended count for nothing."""
        cpu_s = rss = 0.0
        threads = descriptors = 0
        for process in processes:
            with suppress(psutil.NoSuchProcess), process.oneshot():
                times = process.cpu_times()
                cpu_s += times.user + times.system
                rss += process.memory_info().rss
                threads += process.num_threads()
                descriptors += process.num_fds() if hasattr(process, "num_fds") else 0
        return cls(cpu_s, rss / 2**20, threads, descriptors)

    @classmethod
    def of_families(cls, firsts: Sequence[psutil.Process]) -> "Usage":
        """Of these, of all that descend from them now, and the CPU of those that did and have ended."""
        living = [*firsts]
        ended_s = 0.0
        for first in firsts:
            with suppress(psutil.NoSuchProcess):
                living += first.children(recursive=True)
                times = first.cpu_times()
                ended_s += times.children_user + times.children_system
        used = cls.of(living)
        return replace(used, cpu_s=used.cpu_s + ended_s)


def family(pid: int) -> list[psutil.Process]:
    """A gateway's processes: itself and its workers."""
    try:
        first = psutil.Process(pid)
        return [first, *(one for one in first.children(recursive=True) if not one.name().startswith("postgres"))]
    except psutil.NoSuchProcess:
        return []


def database_of(data_dir: Path) -> list[psutil.Process]:
    """The embedded database's first process, none where there is none: it is nobody's child, but says who it is."""
    try:
        lock = next(data_dir.glob("postgres/*/postmaster.pid"))
        return [psutil.Process(int(lock.read_text().split()[0]))]
    except (StopIteration, OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return []


def pin(processes: Sequence[psutil.Process], cores: Sequence[int]) -> None:
    """Keep these processes, and what threads they have, on these cores; harmless where that cannot be had."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for thread in process.threads():
                with suppress(OSError):  # it has ended meanwhile
                    os.sched_setaffinity(thread.id, cores)


@asynccontextmanager
async def child(
    command: Sequence[str],
    *,
    cores: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    stderr: int | None = None,
) -> AsyncIterator[trio.Process]:
    """A process that speaks in lines; ended with the block, by closing its stdin, and killed where it does not end."""
    process = await trio.lowlevel.open_process(
        list(command), stdin=PIPE, stdout=PIPE, stderr=stderr, env={**(environment or os.environ), **ONE_THREAD}
    )
    pin([psutil.Process(process.pid)], cores)
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            assert process.stdin is not None
            await process.stdin.aclose()
            with trio.move_on_after(ENDING_S):
                await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()


def module(name: str) -> tuple[str, ...]:
    """How a module of ours is run as a process."""
    return (sys.executable, "-m", name)


async def read_lines(process: trio.Process, on_line: Callable[[bytes], None]) -> None:
    """Every line of its stdout, until it ends."""
    assert process.stdout is not None
    rest = b""
    async for data in process.stdout:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            on_line(line)
