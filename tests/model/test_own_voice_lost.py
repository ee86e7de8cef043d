"""What a session gets when the tenant's voice fails, at its start or in the middle of a sentence."""

import pytest
import trio
import trio.testing

from engine.messages import ReportHeard, ToolCallRequested, ToolResult
from engine.model.provider import (
    AudioDelta,
    GenerationComplete,
    TextDelta,
    TurnComplete,
)
from engine.sim.moods import Cut, Garbled, Mood, Refuse, Silent, Slow, Stalls
from tests.model.own_voice import (
    ANSWER,
    FIRST,
    SAID_BY_ITSELF,
    SECOND,
    Make,
    open_duet,
)

Clock = trio.testing.MockClock


FAILURES = [Cut(after_ms=600), Stalls(600), Garbled(("bad_base64",)), Garbled(("invalid_json",)), Silent(), Slow(5.0)]


@pytest.mark.parametrize("mood", FAILURES, ids=repr)
async def test_a_voice_that_fails_leaves_the_rest_to_the_model(make: Make, autojump_clock: Clock, mood: Mood) -> None:
    lost: list[str] = []
    async with open_duet(make(mood), lost=lost) as duet:
        await duet.ask()
        asked_at = trio.current_time()
        duet.writer.writes(ANSWER)
        await duet.until(TurnComplete)
    rest = duet.writer.last("speak_yourself")
    assert ANSWER.endswith(rest)
    said = duet.text[: -len(rest)].split()
    assert len(said) + len(rest.split()) - len(ANSWER.split()) in {0, 1}  # a word that was begun is said again
    assert duet.sound.endswith(SAID_BY_ITSELF)
    assert duet.at[-1] - asked_at < 2.0
    assert duet.kinds() == ["AudioDelta", "GenerationComplete", "TurnComplete"]
    assert len(lost) == 1


async def test_the_rest_holds_what_was_written_after_the_loss(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(Cut(after_ms=0))) as duet:
        await duet.ask()
        duet.writer.writes(f"{FIRST} Shall I", ends=False)
        await trio.sleep(1.5)
        assert "speak_yourself" not in duet.writer.names()
        duet.writer.writes(SECOND.removeprefix("Shall I"))
        await duet.until(TurnComplete)
    assert duet.writer.last("speak_yourself") == ANSWER


async def test_after_a_loss_the_model_speaks_for_the_rest_of_the_session(make: Make, autojump_clock: Clock) -> None:
    voice = make(Cut(after_ms=0))
    async with open_duet(voice) as duet:
        await duet.ask()
        duet.writer.writes(FIRST)
        await duet.until(TurnComplete)
        await duet.ask()
        duet.writer.does(AudioDelta(SAID_BY_ITSELF, 10.0), GenerationComplete(), TurnComplete())
        await duet.until(TurnComplete, times=2)
        await duet.open_turn()
        await duet.stream.report_heard(ReportHeard(2, 3.0, 10.0))
    assert len(voice.sessions) == 1
    assert duet.writer.last("report_heard") == ReportHeard(2, 3.0, 10.0)
    async with open_duet(voice) as again:
        await again.ask()
        again.writer.writes(FIRST)
        await again.until(TurnComplete)
    assert again.text == FIRST
    assert "speak_yourself" not in again.writer.names()


async def test_a_cut_after_the_loss_is_told_for_both_parts(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(Cut(after_ms=600))) as duet:
        await duet.ask()
        duet.writer.writes(FIRST)
        await duet.until(TurnComplete)
        own_ms = (len(duet.sound) - len(SAID_BY_ITSELF)) / 8
        await duet.open_turn()
        await duet.stream.report_heard(ReportHeard(1, own_ms + 4.0, 0.0))
    assert FIRST.startswith(duet.writer.last("heard_only"))
    assert duet.writer.last("report_heard") == ReportHeard(1, 4.0, 0.0)


@pytest.mark.parametrize("refusal", [Refuse("reset"), Refuse("http", status=401), Refuse("close", code=1008)], ids=repr)
async def test_a_voice_that_is_away_at_the_start_costs_no_session(
    make: Make, autojump_clock: Clock, refusal: Refuse
) -> None:
    began = trio.current_time()
    async with open_duet(make(refusal)) as duet:
        await trio.sleep(0.1)
        assert duet.writer.told == [("speak_yourself", "")]
        assert trio.current_time() - began < 0.5
        await duet.ask()
        duet.writer.does(AudioDelta(SAID_BY_ITSELF), GenerationComplete(), TurnComplete())
        await duet.until(TurnComplete)
    assert duet.sound == SAID_BY_ITSELF


async def test_a_voice_that_does_not_answer_the_door_is_not_waited_for_long(
    make: Make, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = make()

    async def never(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(voice, "serve_stream", never)
    began = trio.current_time()
    async with open_duet(voice) as duet:
        assert trio.current_time() - began <= 1.5
        assert duet.writer.told == [("speak_yourself", "")]


async def test_a_caller_who_speaks_after_the_loss_does_not_hear_the_rest(make: Make, autojump_clock: Clock) -> None:
    async with open_duet(make(Cut(after_ms=0))) as duet:
        await duet.ask()
        duet.writer.writes(FIRST, ends=False)
        duet.writer.does(TextDelta(" And"))
        await trio.sleep(0.5)
        await duet.open_turn()
    assert [what for name, what in duet.writer.told if name == "speak_yourself"] == [""]
    assert duet.writer.names()[-2:] == ["speak_yourself", "open_turn"]


async def test_a_tool_call_written_while_the_voice_is_lost_is_passed_on(make: Make, autojump_clock: Clock) -> None:
    call = ToolCallRequested("call-1", "opening_hours", {})
    async with open_duet(make(Cut(after_ms=0))) as duet:
        await duet.ask()
        duet.writer.writes("Let me look.", ends=False)
        duet.writer.does(call)
        await duet.until(ToolCallRequested, within_s=1.0)
        await duet.stream.send_tool_result(ToolResult("call-1", "opening_hours", {"now": "open"}))
        duet.writer.writes(" We are open.")
        await duet.until(TurnComplete)
    assert duet.writer.last("speak_yourself") == "Let me look. We are open."
