"""One file read by a process of its own, within bounds that the kernel keeps. Started by ``read_apart`` alone.

    python -m engine.retrieval.reading_process PATH NAME CPU_S MEMORY_MB   ->   one JSON object on standard output

Readers are libraries that take anybody's files apart: one that loops or fills the memory can be stopped only from
outside. What it costs is small: nothing but the readers is imported.
"""

import os
import resource
import sys
from pathlib import Path

import orjson

from engine.errors import ConfigurationError
from engine.retrieval.readers import read_document

MOST_CHARACTERS = 10_000_000  # of text in one file: some thousand books' pages


def main() -> None:
    """Read, and say what came of it: ``{"document": ...}`` or ``{"refused": why}``."""
    path, name, cpu_s, memory_mb = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s), int(cpu_s) + 1))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_mb) << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)  # calls may be served beside it
    try:
        said = _read(Path(path), name)
    except MemoryError:
        said = {"refused": f"{path}: takes too much memory to be read; split it, or save it as text"}
    sys.stdout.buffer.write(orjson.dumps(said))


def _read(path: Path, name: str) -> dict[str, object]:
    try:
        document = read_document(path, name)
    except ConfigurationError as error:
        return {"refused": str(error)}
    if sum(len(block.text) for block in document.blocks) > MOST_CHARACTERS:
        return {"refused": f"{path}: holds more than {MOST_CHARACTERS // 1_000_000} million characters; split it"}
    blocks = [[block.headings, block.text] for block in document.blocks]
    return {"document": {"kind": document.kind, "digest": document.digest, "blocks": blocks}}


if __name__ == "__main__":
    main()
