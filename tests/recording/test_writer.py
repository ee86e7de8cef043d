"""The thread that writes: one recording's trouble is its own, and nobody waits for a disk."""

from collections import Counter
from pathlib import Path

from engine.recording.files import RecordingFiles, name_of
from engine.recording.sealed import unseal
from engine.recording.writer import OpenRecording, RecordingWriter
from engine.store.recordings import Recording

SECRET = b"s"
LONG_S = 10.0


def line(call_sid: str) -> OpenRecording:
    return OpenRecording("acme", call_sid, 0, "+15550100777", "2026-11-03T12:00:00+00:00")


def writer(tmp_path: Path, done: list[Recording], fates: Counter[str], queued: int = 100) -> RecordingWriter:
    return RecordingWriter(
        RecordingFiles(tmp_path), SECRET, on_done=done.append, on_fate=lambda fate: fates.update([fate]), queued=queued
    )


def chunks(tmp_path: Path, call_sid: str, part: int = 0) -> list[bytes]:
    with RecordingFiles(tmp_path).path("acme", call_sid, part).open("rb") as file:
        return list(unseal(file, SECRET, "acme", name_of(call_sid, part)))


def test_recordings_are_written_beside_each_other_and_told_when_whole(tmp_path: Path) -> None:
    done: list[Recording] = []
    fates = Counter[str]()
    out = writer(tmp_path, done, fates)
    out.start()
    one, other = line("CA1"), line("CA2")
    for _ in range(2):
        out.write(one, b"\x01" * 160)
        out.write(other, b"\x02" * 320)
    out.write(one, b"", last=True)
    out.close(LONG_S)
    assert chunks(tmp_path, "CA1") == [b"\x01" * 160] * 2
    assert chunks(tmp_path, "CA2") == [b"\x02" * 320] * 2, "good as far as it goes"
    (kept,) = done
    size = RecordingFiles(tmp_path).path("acme", "CA1", 0).stat().st_size
    assert (kept.call_sid, kept.duration_ms, kept.bytes) == ("CA1", 20, size)
    assert fates == {"kept": 1}


def test_a_name_that_is_none_ends_its_own_recording_alone(tmp_path: Path) -> None:
    done: list[Recording] = []
    fates = Counter[str]()
    out = writer(tmp_path, done, fates)
    out.start()
    bad, good = line("../../etc/CA1"), line("CA2")
    for one in (bad, good):
        out.write(one, b"\x01" * 160)
        out.write(one, b"", last=True)
    out.close(LONG_S)
    assert fates == {"crashed": 1, "kept": 1}, "no such id comes from a carrier: nobody foresaw it"
    assert [one.call_sid for one in done] == ["CA2"]
    assert [path.name for path in tmp_path.rglob("*.rec")] == ["CA2-0.rec"]


def test_a_part_that_is_there_already_is_followed_by_another(tmp_path: Path) -> None:
    done: list[Recording] = []
    out = writer(tmp_path, done, Counter[str]())
    out.start()
    for sound in (b"\x01", b"\x02"):
        again = line("CA1")
        out.write(again, sound * 160)
        out.write(again, b"", last=True)
    out.close(LONG_S)
    assert [one.part for one in done] == [0, 1]
    assert chunks(tmp_path, "CA1", 0) == [b"\x01" * 160]
    assert chunks(tmp_path, "CA1", 1) == [b"\x02" * 160]


def test_a_disk_that_refuses_one_recording_is_no_crash(tmp_path: Path) -> None:
    fates = Counter[str]()
    out = writer(tmp_path, [], fates)
    tmp_path.joinpath("recordings").write_text("a file where a folder should be")
    out.start()
    out.write(line("CA1"), b"\x01" * 160)
    out.close(LONG_S)
    assert fates == {"given_up": 1}


def test_when_the_disk_takes_nothing_recordings_are_given_up_and_nobody_waits(tmp_path: Path) -> None:
    fates = Counter[str]()
    out = writer(tmp_path, [], fates, queued=2)
    # Its thread is not started: the slowest of all disks.
    one = line("CA1")
    for _ in range(5):
        out.write(one, b"\x01" * 160)
    assert fates == {"given_up": 1}
    assert one.given_up
