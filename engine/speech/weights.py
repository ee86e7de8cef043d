"""Where the recogniser's weights lie: inside an installed package and, in a quick form, in the data directory.

``moonshine_cpp`` is never imported, only its folder is read. It is made into ``speech/<fingerprint>/`` once per
machine, by one process at a time, and appears there whole or not at all.
"""

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import trio

from engine.errors import ConfigurationError
from engine.log import get_logger

FOLDER = "speech"
ENCODER, FIRST, NEXT, VOCABULARY = "encoder.onnx", "first.onnx", "next.onnx", "tokenizer.bin"

# Raise this when the same package would come out as other files.
RECIPE = 1

_PACKAGE, _MODEL = "moonshine_cpp", "models/base-en"
_MANIFEST = "sizes.json"
_PART = "part-"
_PROCESSOR = Path("/proc/cpuinfo")
_LOOK_S = 0.2  # between looks at a lock that another process holds: it is released within seconds

log = get_logger("speech.weights")


def available() -> bool:
    """Can speech be recognised on this machine at all?"""
    return _shipped() is not None


def fingerprint() -> str:
    """Names everything that decides what the converted files are; cheap."""
    return f"moonshine-base-en-{version('moonshine-cpp')}-{RECIPE}-{bits()}bit"


def bits() -> int:
    """How many bits of a weight this machine can multiply exactly.

    Processors without 8-bit dot products (x86 before 2019) add pairs of products in 16 bits, which overflow where
    weights use the eighth bit. Seven bits understand clean speech as well, and a little less of it in noise (13 words
    in a hundred wrong instead of 11, over 43 questions at 10 dB).
    """
    if platform.machine() in {"arm64", "aarch64"}:
        return 8
    try:
        return 8 if "vnni" in _PROCESSOR.read_text() else 7
    except OSError:
        return 7


async def prepare(data_dir: Path, *, on_progress: Callable[[float], None] | None = None) -> Path:
    """The directory of converted weights, made now if this machine has none yet (some seconds, a gigabyte of memory).

    Any number of processes may ask at once: one works, the others wait for it. Cancellation ends the work.

    Args:
        data_dir: the converted weights go into a folder of it (140 MB).
        on_progress: told the part that is done, from 0 to 1; not called where nothing is to be done.

    Raises:
        ConfigurationError: this platform has no such package, or the directory cannot be written.
    """
    source = _shipped()
    if source is None:
        cure = "set FRONTDESK_LOCAL_MODEL=false, and give the key of a model elsewhere"
        raise ConfigurationError(
            "speech cannot be recognised on this machine, since the package moonshine-cpp, which holds the weights, "
            f"is made for Linux on x86-64 and macOS on Apple silicon only: {cure}"
        )
    target = data_dir / FOLDER / fingerprint()
    if _is_whole(target):
        await trio.lowlevel.checkpoint()
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        async with _locked(target.parent / ".lock"):
            if not _is_whole(target):  # else another process has made it while this one waited
                await _make(source, target, on_progress or (lambda _: None))
    except OSError as error:
        cure = "let this user write there, or choose another data directory; 300 MB must be free"
        raise ConfigurationError(f"weights cannot be kept in {target.parent} ({error}): {cure}") from error
    return target


def _shipped() -> Path | None:
    spec = find_spec(_PACKAGE)  # of a package without a dot: imports nothing
    folder = Path(spec.origin).parent / _MODEL if spec and spec.origin else None
    return folder if folder and (folder / VOCABULARY).is_file() else None


def _is_whole(directory: Path) -> bool:
    """Every file is there in its length; what a power cut leaves of a new directory is not."""
    try:
        sizes: dict[str, int] = json.loads((directory / _MANIFEST).read_bytes())
        return all((directory / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """The kernel lets go of it when this process ends, however it ends."""
    with path.open("wb") as file:
        while not _try_lock(file):  # noqa: ASYNC110 - another process holds it, and tells nobody when it lets go
            await trio.sleep(_LOOK_S)
        yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _make(source: Path, target: Path, on_progress: Callable[[float], None]) -> None:
    for left in target.parent.glob(f"{_PART}*"):  # by a process that was killed: the lock says that nobody works there
        shutil.rmtree(left)
    began = trio.current_time()
    log.info("preparing speech recognition, once on this machine", directory=str(target))
    part = Path(tempfile.mkdtemp(prefix=_PART, dir=target.parent))
    try:
        await _convert(source, part, on_progress)
        shutil.copyfile(source / VOCABULARY, part / VOCABULARY)
        _put_in_place(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    log.info("speech recognition is prepared", took_s=round(trio.current_time() - began, 1))


def _put_in_place(part: Path, target: Path) -> None:
    sizes = {file.name: file.stat().st_size for file in part.iterdir()}
    (part / _MANIFEST).write_text(json.dumps(sizes))
    part.chmod(0o755)  # temporary directories are private; another user's worker may read this one
    shutil.rmtree(target, ignore_errors=True)  # where it is not whole
    os.rename(part, target)


async def _convert(source: Path, part: Path, on_progress: Callable[[float], None]) -> None:
    command = [sys.executable, "-m", "engine.speech.convert", str(source), str(part), str(bits())]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said = bytearray()

    async def collect() -> None:
        assert process.stderr is not None
        async for piece in process.stderr:
            said.extend(piece)

    async def follow() -> None:
        assert process.stdout is not None
        async for piece in process.stdout:
            on_progress(float(piece.split()[-1]))

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            nursery.start_soon(follow)
            status = await process.wait()
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
                await process.wait()
            for end in (process.stdin, process.stdout, process.stderr):
                assert end is not None
                await end.aclose()
    if status:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise ConfigurationError(f"the weights could not be converted ({last or f'status {status}'})")
