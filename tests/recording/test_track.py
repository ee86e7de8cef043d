"""Two tracks on one axis: what was heard and said stands where it was heard and said."""

from hypothesis import given
from hypothesis import strategies as st

from engine.recording.track import HOLD_S, MOST, Tracks

SILENT = 0xFF
S = 8000


def both(tracks: Tracks, now: float) -> tuple[bytes, bytes]:
    chunks = []
    while chunk := tracks.take(now, all_of_it=True):
        chunks.append(chunk)
    callers = b"".join(chunk[: len(chunk) // 2] for chunk in chunks)
    return callers, b"".join(chunk[len(chunk) // 2 :] for chunk in chunks)


def runs(track: bytes) -> list[tuple[int, int, int]]:
    """(byte, begin, end) of every stretch of one sound that is not silence."""
    found: list[tuple[int, int, int]] = []
    for at, byte in enumerate(track):
        if byte == SILENT:
            continue
        if found and found[-1][0] == byte and found[-1][2] == at:
            found[-1] = (byte, found[-1][1], at + 1)
        else:
            found.append((byte, at, at + 1))
    return found


def test_caller_and_agent_stand_at_their_own_instants() -> None:
    tracks = Tracks(10.0)
    tracks.heard(b"\x01" * S, 11.0)
    tracks.said(b"\x02" * 800, 11.5)
    caller, agent = both(tracks, 13.0)
    assert len(caller) == len(agent) == 3 * S
    assert runs(caller) == [(1, 0, S)]
    assert runs(agent) == [(2, 12000, 12800)]


def test_what_the_carrier_still_holds_is_played_before_what_is_sent_next() -> None:
    tracks = Tracks(0.0)
    tracks.said(b"\x02" * 3200, 1.0)
    tracks.said(b"\x03" * 800, 1.1)
    _, agent = both(tracks, 3.0)
    assert runs(agent) == [(2, 8000, 11200), (3, 11200, 12000)]


def test_what_is_cleared_before_it_was_played_was_never_said() -> None:
    tracks = Tracks(0.0)
    tracks.said(b"\x02" * 3200, 1.0)
    tracks.cleared(1.1)
    tracks.said(b"\x03" * 800, 1.5)
    _, agent = both(tracks, 3.0)
    assert runs(agent) == [(2, 8000, 8800), (3, 12000, 12800)]


def test_a_clear_long_after_the_last_word_takes_nothing_back() -> None:
    tracks = Tracks(0.0)
    tracks.said(b"\x02" * 800, 1.0)
    first = tracks.take(5.0)
    tracks.cleared(6.0)
    assert runs(first[len(first) // 2 :]) == [(2, 8000, 8800)]


def test_frames_that_do_not_come_are_silence_of_their_length() -> None:
    tracks = Tracks(0.0)
    tracks.heard(b"\x01" * S, 1.0)
    tracks.heard(b"\x02" * S, 6.0)
    caller, _ = both(tracks, 6.0)
    assert runs(caller) == [(1, 0, S), (2, 5 * S, 6 * S)]


def test_frames_that_come_late_or_in_bursts_leave_no_holes() -> None:
    tracks = Tracks(0.0)
    for tick in range(1, 51):
        late = 0.15 if tick % 5 else 0.0
        tracks.heard(b"\x01" * 160, tick * 0.02 + late)
    caller, _ = both(tracks, 2.0)
    assert sum(end - begin for _, begin, end in runs(caller)) == 50 * 160
    assert len(runs(caller)) == 1


def test_nothing_of_a_pause_is_there_on_either_track_and_time_goes_on() -> None:
    tracks = Tracks(0.0)
    tracks.heard(b"\x01" * S, 1.0)
    tracks.pause(1.0)
    tracks.pause(1.2)
    tracks.heard(b"\x02" * S, 2.0)
    tracks.said(b"\x03" * S, 1.0)
    tracks.resume(2.0)
    tracks.heard(b"\x04" * S, 3.0)
    caller, agent = both(tracks, 3.0)
    assert runs(caller) == [(1, 0, S), (4, 2 * S, 3 * S)]
    assert runs(agent) == []


def test_a_pause_that_lasts_is_silence_in_every_piece() -> None:
    tracks = Tracks(0.0)
    tracks.pause(0.5)
    pieces = []
    for second in range(1, 8):
        tracks.heard(b"\x05" * S, float(second))
        pieces.append(tracks.take(float(second)))
    caller = b"".join(piece[: len(piece) // 2] for piece in pieces)
    assert runs(caller) == [(5, 0, S // 2)]


def test_around_a_key_the_caller_is_silent_and_the_agent_is_not() -> None:
    tracks = Tracks(0.0)
    tracks.heard(b"\x01" * 3 * S, 3.0)
    tracks.said(b"\x02" * 3 * S, 0.0)
    tracks.key(1.0)
    caller, agent = both(tracks, 3.0)
    assert runs(caller) == [(1, 0, S // 2), (1, round(1.3 * S), 3 * S)]
    assert runs(agent) == [(2, 0, 3 * S)]


def test_what_may_still_be_taken_back_is_not_given_away() -> None:
    tracks = Tracks(0.0)
    tracks.heard(b"\x01" * S, 1.0)
    assert tracks.take(HOLD_S) == b""
    assert len(tracks.take(HOLD_S + 0.5)) == 2 * S // 2


def test_after_a_long_time_it_comes_in_pieces_that_can_be_sealed() -> None:
    tracks = Tracks(0.0)
    tracks.heard(b"\x01" * S, 100.0)
    assert len(tracks.take(100.0)) == 2 * MOST


@given(st.lists(st.tuples(st.sampled_from(["heard", "said", "cleared", "take"]), st.floats(0, 3)), max_size=30))
def test_both_tracks_are_as_long_as_the_time_whatever_happens(steps: list[tuple[str, float]]) -> None:
    tracks, now, size = Tracks(0.0), 0.0, 0
    for what, wait_s in steps:
        now += wait_s
        match what:
            case "heard":
                tracks.heard(b"\x01" * 160, now)
            case "said":
                tracks.said(b"\x02" * 800, now)
            case "cleared":
                tracks.cleared(now)
            case _:
                size += len(tracks.take(now)) // 2
    caller, agent = both(tracks, now)
    assert len(caller) == len(agent)
    assert size + len(caller) == round(now * S)


def test_what_the_carrier_held_at_the_beginning_is_silence_and_what_follows_comes_behind_it() -> None:
    tracks = Tracks(10.0, held_s=0.5)
    tracks.said(b"\x01" * 800, 10.0)
    chunk = tracks.take(10.6, all_of_it=True)
    agent = chunk[len(chunk) // 2 :]
    assert agent == b"\xff" * 4000 + b"\x01" * 800
