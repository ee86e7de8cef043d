"""One call down the whole chain: it begins on Gemini, loses each model for good, and ends in the script.

Measured by the simulated caller at its playback head, in virtual time: the engine's own delays, not the machine's.
"""

import itertools
from pathlib import Path

import trio
import trio.testing

from engine.call.circuits import CALLS, PAUSES_S
from engine.errors import ModelLost
from engine.sim.moods import Cut, Refuse, Rule
from engine.sim.scenario import HangUp, Listen, Moment, Press, Say, StayOn, Wait
from engine.sim.world import CALLER
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import counted, crashes
from tests.calls import BOOKING, MESSAGE, PARKING, TENANT, WHITENING, Call, PhraseSpeech, stage

Clock = trio.testing.MockClock
LONGEST_SILENCE_MS = 2000
SLACK_MS = 25  # a tick of each plane
GEMINI, OPENAI, LOCAL = TENANT.models


class DiesOver(PhraseSpeech):
    """Works until it is to say this."""

    def __init__(self, cache: VoiceCache, words: str) -> None:
        super().__init__(cache)
        self._words = words

    async def say(self, text: str) -> bytes:
        if self._words in text:
            self.fails = ModelLost("its process died, and so did the next")
        return await super().say(text)


def gone_in(turn: int, after_ms: int) -> list[Rule]:
    """The first session is cut in this turn, after so much of the answer; nobody gets another one."""
    no_more = [Rule(Refuse(), connection=number) for number in range(2, 80)]
    # Twice: where a tool is called first, there is something before the answer that could be cut.
    return [Rule(Cut(1011, after_ms=after_ms), connection=1, turn=turn, times=2), *no_more]


def bridges(call: Call) -> list[list[str]]:
    """The script's lines after each loss, up to the next model or the end."""
    lines: list[list[str]] = []
    for moment in call.end.document["timeline"]:
        if moment["kind"] == "model_lost":
            lines.append([])
        elif moment["kind"] == "script":
            lines[-1].append(moment["facts"]["line"])
    return lines


def silences(call: Call) -> list[float]:
    """For each loss the longest silence at the phone, ms: from what sounded before it until a successor has spoken."""
    # The timeline begins when the stream does, the phone's clock with the ring.
    began_ms = call.report.stream_spans[0][0]
    said = [(one.voiced_at, one.voiced_until) for one in call.report.said]
    sounds = sorted([*call.report.agent_sound, *said])
    longest = []
    for lost in call.moments("model_lost"):
        lost_ms = began_ms + lost["at_ms"]
        answers = [began_ms + one["at_ms"] for one in call.moments("response") if one["at_ms"] > lost["at_ms"]]
        # Where nobody follows, the script's first words are what was owed; then it speaks when it wants.
        until_ms = (answers[0] if answers else lost_ms) + LONGEST_SILENCE_MS
        gaps = itertools.pairwise(sounds)
        longest.append(max(after - before for (_, before), (after, _) in gaps if before < until_ms and after > lost_ms))
    return longest


async def test_each_model_that_is_lost_for_good_is_followed_by_the_next_and_the_last_by_the_script(
    tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    local = DiesOver(speech, "390 dollars")
    gemini, openai = gone_in(2, after_ms=300), gone_in(2, after_ms=900)
    async with stage(tmp_path, speech, *gemini, openai=openai, local=local) as on:
        call = await on.call(
            [
                Listen(),
                Say(on.said[BOOKING]),  # Gemini books it, and is cut while it says so
                Listen(quiet_ms=1500),
                Say(on.said[PARKING]),  # OpenAI is cut in mid-answer
                Listen(quiet_ms=1500),
                Say(on.said[WHITENING]),  # the local voice dies over its answer
                Wait(20),
                Press("1"),
                Listen(quiet_ms=600),
                Say(on.said[MESSAGE]),
                StayOn(),
            ]
        )
        booked = await on.world.composed.services.diary.find(TENANT.id, CALLER)
        assert crashes(on) == 0
        assert on.world.openai is not None
        assert on.model.protocol_faults == on.world.openai.protocol_faults == []
        openai_opened, *openai_refused = on.world.openai.sessions
    assert [moment["text"] for moment in call.moments("model")] == [GEMINI, OPENAI, LOCAL]
    assert [moment["facts"]["provider"] for moment in call.moments("model_lost")] == [GEMINI, OPENAI, LOCAL]
    assert call.end.outcome_reason == "message_taken"
    assert len(call.end.messages) == 1

    # The effect once, though two models asked for it; and nothing of the conversation is lost on the way.
    assert [moment["facts"]["deduplicated"] for moment in call.moments("tool_result")] == [False, True]
    assert len(booked) == 1
    assert call.said("caller") == [BOOKING, PARKING, WHITENING]
    agent = call.said("agent")
    assert agent[0] == TENANT.greeting
    assert "Booked for Robin Lee" in agent[1]
    assert agent[-2].split() == agent[-1].split()[: len(agent[-2].split())], "begun by one, said by the next"
    assert agent[-1].startswith("Parking is free")
    assert openai_opened.history[0].text == TENANT.greeting
    assert all(one.setup is None for one in openai_refused)

    # At most one sentence of the script's at each step, and no dead air.
    first, second, last = bridges(call)
    assert first == second == ["apology"]
    assert (last[0], last[-1]) == ("apology", "goodbye")
    assert len(silences(call)) == 3
    assert max(silences(call)) <= LONGEST_SILENCE_MS + SLACK_MS


async def test_each_model_has_its_two_chances_before_the_script_keeps_the_floor(
    tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    twice = [Rule(Cut(1011, after_ms=300), connection=number, turn=2) for number in (1, 2)]
    async with stage(tmp_path, speech, *twice, openai=twice, local=PhraseSpeech(speech)) as on:
        asked_again: list[Moment] = [Listen(quiet_ms=1500), Say(on.said[PARKING])]
        call = await on.call([*(asked_again * 5), Listen(quiet_ms=1500), HangUp()])
    assert [moment["text"] for moment in call.moments("model")] == [GEMINI, GEMINI, OPENAI, OPENAI, LOCAL]
    assert bridges(call) == [["apology"]] * 4
    assert max(silences(call)) <= LONGEST_SILENCE_MS + SLACK_MS
    assert call.end.outcome_reason == "caller_hung_up"


async def test_a_model_that_failed_three_calls_is_not_asked_by_the_fourth_until_it_is_tried_again(
    tmp_path: Path, speech: VoiceCache, autojump_clock: Clock
) -> None:
    tenant = TENANT.model_copy(update={"greeting": "Hello!", "models": (GEMINI, OPENAI)})
    short: list[Moment] = [Listen(), HangUp()]
    async with stage(tmp_path, speech, tenant=tenant, openai=()) as on:
        on.model.refuse_connections(True)
        async with trio.open_nursery() as crowd:
            for _ in range(CALLS):
                crowd.start_soon(on.world.call, short)
        assert on.world.composed.gateway.parts()[f"model {GEMINI}"] == "failing"
        assert counted(on, "circuit_openings", provider=GEMINI) == 1
        asked = len(on.model.sessions)
        fourth = await on.call(short)
        assert len(on.model.sessions) == asked
        on.model.refuse_connections(False)
        await trio.sleep(PAUSES_S[0])
        fifth = await on.call(short)
        assert on.world.composed.gateway.parts()[f"model {GEMINI}"] == "ok"
    assert [moment["text"] for moment in fourth.moments("model")] == [OPENAI]
    assert [moment["text"] for moment in fifth.moments("model")] == [GEMINI]
