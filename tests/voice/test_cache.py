"""The cache, with a voice that counts."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from engine.errors import ConfigurationError
from engine.voice.cache import CacheStatistics, VoiceCache
from engine.voice.speakers import Voice


class CountingVoice:
    """Says the text itself, as bytes; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def render_mulaw(self, text: str, pitch: float = 1.0) -> bytes:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append((text, pitch))
        with self._lock:
            self.at_once -= 1
        return f"{pitch}:{text}".encode() * 50


def never() -> Voice:
    raise AssertionError("the voice was loaded though nothing was missing")


def loader(voice: CountingVoice, loads: list[int]) -> Callable[[], Voice]:
    def load() -> Voice:
        loads.append(1)
        return voice

    return load


def test_line_is_rendered_once_and_then_only_read(tmp_path: Path) -> None:
    voice, loads = CountingVoice(), list[int]()
    cache = VoiceCache(tmp_path, loader(voice, loads))
    assert loads == []
    first = cache.mulaw("Hello.")
    assert cache.mulaw("Hello.") == first == b"1.0:Hello." * 50
    assert voice.asked == [("Hello.", 1.0)]
    assert len(loads) == 1
    assert cache.statistics() == CacheStatistics(read=1, rendered=1, repaired=0)


def test_process_that_finds_every_line_never_loads_the_voice(tmp_path: Path) -> None:
    said = VoiceCache(tmp_path, CountingVoice).mulaw("Hello.")
    assert VoiceCache(tmp_path, never).mulaw("Hello.") == said


def test_blank_text_needs_neither_voice_nor_file(tmp_path: Path) -> None:
    assert VoiceCache(tmp_path / "lines", never).mulaw(" ") == b""
    assert not (tmp_path / "lines").exists()


def test_text_pitch_and_voice_each_make_a_line_of_their_own(tmp_path: Path) -> None:
    cache = VoiceCache(tmp_path, CountingVoice)
    cache.mulaw("Hello.")
    cache.mulaw("Hello!")
    cache.mulaw("Hello.", pitch=1.2)
    VoiceCache(tmp_path, CountingVoice, voice_name="somebody else").mulaw("Hello.")
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: whole[:20], id="cut-in-the-digest"),
        pytest.param(lambda whole: whole[:32], id="nothing-but-the-digest"),
        pytest.param(lambda whole: whole[:-1], id="cut-short"),
        pytest.param(lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]), id="one-bit"),
    ],
)
def test_damaged_file_is_rendered_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    said = VoiceCache(tmp_path, CountingVoice).mulaw("Hello.")
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    cache = VoiceCache(tmp_path, CountingVoice)
    assert cache.mulaw("Hello.") == said
    assert cache.statistics() == CacheStatistics(read=0, rendered=1, repaired=1)
    assert file.read_bytes() == whole


def test_directory_that_cannot_be_used_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(ConfigurationError, match=r"file/lines.*choose another"):
        VoiceCache(tmp_path / "file" / "lines", CountingVoice).mulaw("Hello.")


def test_failed_write_leaves_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("engine.voice.cache.os.replace", refuse)
    with pytest.raises(ConfigurationError, match="disk full"):
        VoiceCache(tmp_path, CountingVoice).mulaw("Hello.")
    assert list(tmp_path.iterdir()) == []


async def test_many_threads_render_a_line_once_and_one_at_a_time(tmp_path: Path) -> None:
    voice, loads, said = CountingVoice(), list[int](), set[bytes]()
    cache = VoiceCache(tmp_path, loader(voice, loads))

    async def ask(text: str) -> None:
        said.add(await trio.to_thread.run_sync(cache.mulaw, text))

    async with trio.open_nursery() as nursery:
        for index in range(24):
            nursery.start_soon(ask, f"Line {index % 4}.")
    assert sorted(voice.asked) == [(f"Line {index}.", 1.0) for index in range(4)]
    assert len(said) == 4
    assert len(loads) == 1
    assert voice.most_at_once == 1
