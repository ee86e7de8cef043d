"""The spool's files: blocking, for a thread."""

import os
from pathlib import Path


def record_names(directory: Path) -> list[str]:
    """Of all that are there wholly, oldest first."""
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(".json") and not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def write_record(directory: Path, name: str, data: bytes) -> None:
    """There wholly, and through a power cut, or not at all: ``OSError``."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = directory / f".{name}"
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(directory / name)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
