"""Rendered lines on disk: each text is spoken once per machine, then only read.

One file per line, named by what decides its sound, holding a digest and the mu-law bytes. A file that is not what its
digest says (cut short, empty, overwritten) is rendered anew. Writing goes through a temporary file and a rename, so
that several processes may share a directory: a reader sees a whole file or none.
"""

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigurationError
from engine.voice.languages import ENGLISH, primary
from engine.voice.offline import OfflineVoice, fingerprint
from engine.voice.speakers import Speaker, Voice, speaker

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Lines since the start. ``repaired`` are those rendered because their file was damaged."""

    read: int
    rendered: int
    repaired: int


class VoiceCache:
    """Lines by text, rendered at most once.

    Slow (disk, and tens of milliseconds where a line is new): call it through ``trio.to_thread``. Any number of
    threads may; they render one at a time.
    """

    def __init__(
        self, directory: Path, load: Callable[[], Voice] = OfflineVoice.load, *, voice_name: str | None = None
    ) -> None:
        """Nothing is read or loaded yet.

        Args:
            directory: made when the first line is kept.
            load: the English voice; called once, and only when a line is missing.
            voice_name: everything beside text and pitch that decides its sound; the offline voice's by default.
        """
        self._directory = directory
        self._english = Speaker(fingerprint() if voice_name is None else voice_name, load)
        self._voices: dict[str, Voice] = {}  # by the speaker's name
        self._lock = threading.Lock()
        self._read = self._rendered = self._repaired = 0

    def mulaw(self, text: str, *, pitch: float = 1.0, language: str = "en-US") -> bytes:
        """The spoken text as mu-law at 8 kHz; blank text is no sound.

        Raises:
            ConfigurationError: nobody speaks the language, the voice cannot say the text, or the directory cannot be
                written.
        """
        if not text.strip():
            return b""
        who = self._english if primary(language) == ENGLISH else speaker(language)
        path = self._path(who.name, text, pitch)
        with self._lock:
            kept = self._find(path)
            if kept is not None:
                self._read += 1
                return kept
            if who.name not in self._voices:
                self._voices[who.name] = who.load()
            sound = self._voices[who.name].render_mulaw(text, pitch)
            self._keep(path, sound)
            self._rendered += 1
            return sound

    def statistics(self) -> CacheStatistics:
        """What was read and what had to be rendered."""
        return CacheStatistics(self._read, self._rendered, self._repaired)

    def _path(self, voice_name: str, text: str, pitch: float) -> Path:
        key = "\0".join((voice_name, f"{pitch:.4f}", text))
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()}.line"

    def _find(self, path: Path) -> bytes | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error
        digest, sound = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if sound and hashlib.sha256(sound).digest() == digest:
            return sound
        self._repaired += 1
        return None

    def _keep(self, path: Path, sound: bytes) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._directory, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(sound).digest() + sound)
                os.replace(name, path)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(name)
                raise
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> ConfigurationError:
        cure = "let this user write there, or choose another data directory"
        return ConfigurationError(f"the voice cache {self._directory} cannot be used ({error}): {cure}")
