"""A file of somebody else's, read by a process of its own: bounded in time and memory, and ended when nobody waits."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import trio

from engine.config import PREFIX
from engine.errors import ConfigurationError
from engine.log import get_logger
from engine.retrieval.outline import Block
from engine.retrieval.readers import Document

CPU_S = 60  # a PDF of two thousand pages takes half of it
WAIT_S = 120.0  # on a machine that has other things to do
MEMORY_MB = 1024
SAID = 300  # characters of what it complained of

log = get_logger("retrieval.read_apart")


async def read_apart(path: Path, name: str) -> Document:
    """Read one file, as ``readers.read_document`` does. Cancelled, it leaves no process.

    Raises:
        ConfigurationError: it cannot be read, or not within these bounds; the message begins with the path.
    """
    module = "engine.retrieval.reading_process"
    command = [sys.executable, "-m", module, str(path), name, str(CPU_S), str(MEMORY_MB)]
    environment = {key: value for key, value in os.environ.items() if not key.upper().startswith(PREFIX)}
    with trio.move_on_after(WAIT_S):
        ended = await trio.run_process(
            command, env=environment, capture_stdout=True, capture_stderr=True, check=False, deliver_cancel=_kill
        )
        return _document(ended, path, name)
    raise ConfigurationError(f"{path}: takes longer than {WAIT_S:.0f} s to be read; split it, or save it as text")


async def _kill(process: trio.Process) -> None:
    process.kill()  # it holds nothing that would be lost
    await trio.lowlevel.checkpoint_if_cancelled()


def _document(ended: subprocess.CompletedProcess[bytes], path: Path, name: str) -> Document:
    try:
        said = orjson.loads(ended.stdout) if ended.returncode == 0 else {}
        if "document" in said:
            document = said["document"]
            blocks = tuple(Block(tuple(headings), text) for headings, text in document["blocks"])
            return Document(name, document["kind"], document["digest"], blocks)
    except (ValueError, KeyError, TypeError) as error:
        log.error("a reader's answer cannot be read", detail=repr(error))
        said = {}
    if "refused" in said:
        raise ConfigurationError(said["refused"])
    complaint = ended.stderr.decode(errors="replace")[-SAID:]
    log.error("a file could not be read within its bounds", status=ended.returncode, detail=complaint)
    raise ConfigurationError(f"{path}: cannot be read in {CPU_S} s and {MEMORY_MB} MB; split it, or save it as text")
