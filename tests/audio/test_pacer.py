"""The pacer by example: pace, marks, underruns, and the two ways of taking audio back."""

import pytest

from engine.audio.pacer import Clear, CutHow, CutReport, Mark, Media, Pacer, Played, Send
from engine.errors import MisuseError
from tests.audio.carrier import Carrier


def sound(ms: int, value: int = 1) -> bytes:
    return bytes([value]) * (8 * ms)


def sizes(sends: object) -> list[int | str]:
    """Messages in short: milliseconds of media, a mark's name, or ``clear``."""
    assert isinstance(sends, list | tuple)
    return [
        len(send.mulaw) // 8 if isinstance(send, Media) else send.name if isinstance(send, Mark) else "clear"
        for send in sends
    ]


def test_nothing_due_is_the_same_empty_sequence_every_time() -> None:
    pacer = Pacer()
    assert pacer.next_deadline() is None
    assert pacer.due(1.0) is pacer.due(2.0)
    assert not pacer.due(3.0)


def test_lead_is_filled_at_once_and_kept_from_then_on() -> None:
    pacer = Pacer()
    pacer.push(1, sound(1000), 10.0)
    assert sizes(pacer.due(10.0)) == [100, 100, "u1:1", 100, 100, "u1:2"]
    assert pacer.next_deadline() == pytest.approx(10.1, abs=1e-4)
    assert sizes(pacer.due(10.08)) == []
    assert sizes(pacer.due(10.1)) == [100]
    assert sizes(pacer.due(10.35)) == [100, "u1:3", 100]


def test_model_that_speaks_at_1x_is_never_held_back() -> None:
    pacer = Pacer()
    for step in range(25):
        now = 5.0 + 0.04 * step
        pacer.push(1, sound(40), now)
        assert [size for size in sizes(pacer.due(now)) if isinstance(size, int)] == [40]
    assert pacer.statistics().underruns == 0


def test_small_pieces_wait_for_a_quantum_while_the_carrier_has_enough() -> None:
    pacer = Pacer()
    pacer.push(1, sound(200), 0.0)
    pacer.due(0.0)
    pacer.push(1, sound(60), 0.02)
    assert sizes(pacer.due(0.02)) == []
    assert pacer.next_deadline() == pytest.approx(0.1, abs=1e-4)
    assert sizes(pacer.due(0.1)) == [60]
    pacer.push(1, sound(60), 0.11)
    assert sizes(pacer.due(0.11)) == []
    pacer.push(1, sound(40), 0.11)
    assert sizes(pacer.due(0.11)) == [100]


def test_last_frame_is_filled_up_at_the_end_of_an_utterance_only() -> None:
    pacer = Pacer()
    pacer.push(1, sound(25), 0.0)
    assert sizes(pacer.due(0.0)) == [20]
    assert pacer.next_deadline() is None
    pacer.end(1)
    assert pacer.due(0.001) == [Media(sound(5) + b"\xff" * 120), Mark("u1:end")]
    assert pacer.on_mark("u1:end", 0.04) == Played(1, 25.0)


def test_next_generation_follows_without_a_gap() -> None:
    pacer = Pacer()
    pacer.push(1, sound(60), 0.0)
    pacer.end(1)
    pacer.push(2, sound(60, 2), 0.0)
    assert sizes(pacer.due(0.0)) == [60, "u1:end", 60]


def test_newer_generation_ends_the_older_and_late_audio_of_that_is_stale() -> None:
    pacer = Pacer()
    pacer.push(1, sound(60), 0.0)
    pacer.push(2, sound(60, 2), 0.0)
    assert pacer.push(1, sound(20), 0.0) == 0
    assert sizes(pacer.due(0.0)) == [60, "u1:end", 60]
    assert pacer.statistics().stale_ms == 20


def test_utterance_without_audio_is_still_marked() -> None:
    pacer = Pacer()
    pacer.end(3)
    assert pacer.due(0.0) == [Mark("u3:end")]
    assert pacer.on_mark("u3:end", 0.1) == Played(3, 0.0)


def test_full_backlog_refuses_what_does_not_fit() -> None:
    pacer = Pacer(backlog_ms=500)
    assert pacer.push(1, sound(450), 0.0) == 0
    assert pacer.push(1, sound(100), 0.0) == 400
    assert pacer.push(1, sound(10), 0.0) == 80
    assert (pacer.statistics().refused_ms, pacer.statistics().backlog_ms) == (60, 500)


def test_cut_now_clears_and_reports_what_was_heard() -> None:
    pacer = Pacer()
    pacer.push(1, sound(1000), 0.0)
    pacer.due(0.0)
    assert pacer.cut(1, CutHow.NOW, 0.25) == [CutReport(1, 250.0, 1000.0)]
    assert pacer.push(1, sound(100), 0.26) == 0
    assert pacer.due(0.26) == [Clear()]
    assert [pacer.on_mark(name, 0.27) for name in ("u1:1", "u1:2")] == [None, None]
    assert pacer.cut(1, CutHow.NOW, 0.3) == []
    assert pacer.next_deadline() is None
    assert pacer.head_ms(9.0) == 250


def test_cut_of_what_was_never_sent_clears_nothing() -> None:
    pacer = Pacer()
    pacer.push(1, sound(100), 0.0)
    assert pacer.cut(1, CutHow.NOW, 0.0) == [CutReport(1, 0.0, 100.0)]
    assert sizes(pacer.due(0.0)) == []


def test_cut_now_gives_back_what_the_clear_took_from_a_newer_generation() -> None:
    pacer = Pacer()
    pacer.push(1, sound(100), 0.0)
    pacer.end(1)
    pacer.push(2, sound(100, 2), 0.0)
    pacer.end(2)
    assert sizes(pacer.due(0.0)) == [100, "u1:end", 100, "u2:end"]
    assert pacer.cut(1, CutHow.NOW, 0.04) == [CutReport(1, 40.0, 100.0, whole=True)]
    assert pacer.due(0.04) == [Clear(), Media(sound(100, 2)), Mark("u2:end1")]
    assert pacer.on_mark("u2:end", 0.05) is None  # the clear's own echo
    assert pacer.on_mark("u2:end1", 0.14) == Played(2, 100.0)


def test_utterance_heard_to_its_end_is_played_though_a_cut_overtakes_its_mark() -> None:
    pacer = Pacer()
    pacer.push(1, sound(100), 0.0)
    pacer.end(1)
    pacer.due(0.0)
    assert pacer.cut(1, CutHow.NOW, 0.12) == []
    assert pacer.due(0.12) == [Clear()]
    assert pacer.on_mark("u1:end", 0.13) == Played(1, 100.0)


def test_cut_of_what_has_just_been_heard_leaves_the_next_utterance_alone() -> None:
    pacer = Pacer()
    for generation in (1, 2):
        pacer.push(generation, sound(100), 0.0)
        pacer.end(generation)
    pacer.due(0.0)
    assert pacer.cut(1, CutHow.NOW, 0.12) == []
    assert sizes(pacer.due(0.12)) == []
    assert [pacer.on_mark(f"u{g}:end", 0.25) for g in (1, 2)] == [Played(1, 100.0), Played(2, 100.0)]


def test_cut_soon_twice_is_reported_once() -> None:
    pacer = Pacer()
    pacer.push(1, sound(1000), 0.0)
    pacer.due(0.0)
    assert len(pacer.cut(1, CutHow.SOON, 0.1)) == 1
    assert pacer.cut(1, CutHow.SOON, 0.1) == []
    assert sizes(pacer.due(0.1)) == ["u1:end"]


def test_cut_soon_lets_the_carrier_finish_and_closes_the_utterance() -> None:
    pacer = Pacer()
    pacer.push(1, sound(1000), 0.0)
    pacer.due(0.0)
    assert pacer.cut(1, CutHow.SOON, 0.1) == [CutReport(1, 400.0, 1000.0)]
    pacer.push(2, sound(40, 2), 0.1)
    assert sizes(pacer.due(0.1)) == ["u1:end"]
    assert sizes(pacer.due(0.3)) == [40]
    assert pacer.on_mark("u1:end", 0.4) is None
    assert pacer.statistics().cut_ms == 600


def test_cut_soon_leaves_alone_what_was_sent_to_its_end() -> None:
    pacer = Pacer()
    pacer.push(1, sound(100), 0.0)
    pacer.end(1)
    pacer.due(0.0)
    assert pacer.cut(1, CutHow.SOON, 0.05) == []
    assert pacer.on_mark("u1:end", 0.1) == Played(1, 100.0)


def test_cut_now_after_cut_soon_silences_the_tail_and_reports_once() -> None:
    pacer = Pacer()
    pacer.push(1, sound(1000), 0.0)
    pacer.due(0.0)
    pacer.cut(1, CutHow.SOON, 0.1)
    assert pacer.cut(1, CutHow.NOW, 0.15) == []
    assert pacer.due(0.15) == [Clear()]


def test_running_dry_in_mid_utterance_is_an_underrun_and_a_pause_between_two_is_not() -> None:
    pacer = Pacer()
    for now in (0.0, 0.13, 0.2):
        pacer.push(1, sound(40), now)
        pacer.due(now)
    pacer.end(1)
    pacer.push(2, sound(40), 5.0)
    pacer.due(5.0)
    seen = pacer.statistics()
    assert (seen.underruns, seen.underrun_ms, seen.longest_underrun_ms) == (2, 120, 90)


def test_ahead_says_whether_the_caller_still_hears_the_agent() -> None:
    pacer = Pacer()
    pacer.push(1, sound(600), 1.0)
    assert pacer.ahead_ms(1.0) == 600
    pacer.due(1.0)
    assert pacer.ahead_ms(1.1) == 500
    pacer.cut(1, CutHow.NOW, 1.1)
    assert pacer.ahead_ms(1.1) == 0


def test_short_lead_still_holds() -> None:
    pacer = Pacer(lead_ms=60)
    pacer.push(1, sound(200), 0.0)
    assert sizes(pacer.due(0.0)) == [20, 20, 20]


def test_nonsense_settings_are_refused() -> None:
    with pytest.raises(MisuseError):
        Pacer(lead_ms=20)


class Line:
    """A pacer and a carrier with a way between them that takes time, and can be blocked either way."""

    def __init__(self, one_way_ms: int) -> None:
        self.pacer, self.carrier, self.ms, self.one_way_ms = Pacer(), Carrier(), 0, one_way_ms
        self.out: list[tuple[int, Send]] = []
        self.back: list[tuple[int, str]] = []

    def run(self, ms: int, *, out_blocked: bool = False, back_blocked: bool = False) -> None:
        for _ in range(ms):
            if self.ms % 20 == 0:
                self.out += [(self.ms + self.one_way_ms, send) for send in self.pacer.due(self.ms / 1000)]
            while not out_blocked and self.out and self.out[0][0] <= self.ms:
                self.carrier.receive(self.out.pop(0)[1])
            while not back_blocked and self.back and self.back[0][0] <= self.ms:
                self.pacer.on_mark(self.back.pop(0)[1], self.ms / 1000)
            self.carrier.play(1)
            self.ms += 1
            self.back += [(self.ms + self.one_way_ms, name) for name in self.carrier.take_echoes()]

    def error_of_a_cut_now(self) -> float:
        """How much more is reported as heard than the carrier has played when the clear arrives."""
        [report] = self.pacer.cut(1, CutHow.NOW, self.ms / 1000)
        self.run(self.one_way_ms)
        return report.heard_ms - len(self.carrier.played) / 8


@pytest.mark.parametrize("one_way_ms", [0, 40, 120, 300])
@pytest.mark.parametrize("cut_at_ms", [310, 1000, 1990])
def test_heard_is_right_however_far_away_the_carrier_is(one_way_ms: int, cut_at_ms: int) -> None:
    line = Line(one_way_ms)
    line.pacer.push(1, sound(5000), 0.0)
    line.run(cut_at_ms)
    assert abs(line.error_of_a_cut_now()) <= 1
    assert line.carrier.silent_ms == one_way_ms


def test_audio_stuck_on_its_way_is_learnt_of_from_the_marks() -> None:
    line = Line(one_way_ms=40)
    line.pacer.push(1, sound(8000), 0.0)
    line.run(1000)
    line.run(900, out_blocked=True)
    silent = line.carrier.silent_ms
    assert silent > 400
    line.run(1500)
    assert line.pacer.statistics().slipped_ms == pytest.approx(silent - 40, abs=50)
    assert line.carrier.unplayed <= 8 * 450
    assert line.carrier.silent_ms == silent
    assert abs(line.error_of_a_cut_now()) <= 50


def test_echoes_stuck_on_their_way_change_nothing() -> None:
    line = Line(one_way_ms=40)
    line.pacer.push(1, sound(8000), 0.0)
    line.run(1000)
    line.run(1100, back_blocked=True)
    line.run(1500)
    assert line.pacer.statistics().slipped_ms == 0
    assert line.carrier.silent_ms == 40
    assert abs(line.error_of_a_cut_now()) <= 1


def test_mark_that_comes_back_early_moves_the_head_on() -> None:
    pacer = Pacer()
    pacer.push(1, sound(300), 0.0)
    pacer.due(0.0)
    pacer.on_mark("u1:1", 0.15)
    assert pacer.head_ms(0.15) == 200
    assert pacer.cut(1, CutHow.NOW, 0.16) == [CutReport(1, 210.0, 300.0)]
