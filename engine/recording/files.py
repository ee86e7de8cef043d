"""Where recordings lie: ``DIRECTORY/<tenant>/<CallSid>-<part>.rec``, readable by us alone. Blocking: for threads."""

from collections.abc import Iterator
from pathlib import Path

from engine.store.records import safe_name

FOLDER = "recordings"
SUFFIX = ".rec"


class RecordingFiles:
    """The files under one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / FOLDER

    def path(self, tenant_id: str, call_sid: str, part: int) -> Path:
        """Of one recording.

        Raises:
            MisuseError: an id that cannot be a file's name.
        """
        folder = self._directory / safe_name("tenant_id", tenant_id)
        return folder / f"{name_of(safe_name('call_sid', call_sid), part)}{SUFFIX}"

    def remove(self, tenant_id: str, call_sid: str, part: int) -> None:
        """Delete it; harmless where it is not there."""
        self.path(tenant_id, call_sid, part).unlink(missing_ok=True)

    def older_than(self, tenant_id: str, instant: float) -> Iterator[Path]:
        """Files of this tenant that nothing was written to since then (seconds since 1970)."""
        for path in (self._directory / safe_name("tenant_id", tenant_id)).glob(f"*{SUFFIX}"):
            try:
                if path.stat().st_mtime < instant:
                    yield path
            except FileNotFoundError:
                continue  # somebody else deletes too


def name_of(call_sid: str, part: int) -> str:
    """What a recording is called within its tenant; also what its chunks are authenticated with."""
    return f"{call_sid}-{part}"
