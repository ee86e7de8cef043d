"""How a tenure ends or is rescued: unanswered turns, tools, fillers, wishes, and a session that will be closed."""

import pytest
import trio
import trio.testing

from engine.call.deadlines import ASKED_TWICE, LONGEST_TURN_S, SILENCE_S, WISH_S
from engine.call.desk import AgentEnds, CallDesk, PersonWanted
from engine.call.opening import STILL_THERE, TIME_IS_UP
from engine.errors import ModelStalled
from engine.messages import (
    CallerAudio,
    CallerTranscript,
    KeyPressed,
    OpenTurn,
    ResponseFinished,
    ResponseStarted,
    ResumeHandle,
    SessionExpiring,
    Speak,
    ToolCallRequested,
    ToolResult,
    Uplink,
    UsageReported,
    UtterancePlayed,
)
from engine.tenants.tenant import Person, Quotas
from tests.call.floor import TENANT, commits, of, talking, waiting

Clock = trio.testing.MockClock
PERSON = Person(name="Ann", number="+15550100200")
RESULT = ToolResult("call-1", "look", {"status": "ok", "message": "found"})


def test_a_later_wish_replaces_an_earlier_one() -> None:
    assert CallDesk().wish is None
    desk = CallDesk()
    wishes = []
    desk.request_end("bye")
    wishes.append(desk.wish)
    desk.request_transfer(PERSON)
    wishes.append(desk.wish)
    assert wishes == [AgentEnds("bye"), PersonWanted(PERSON)]


# --- unanswered ------------------------------------------------------------------------------------------------------


async def test_a_turn_that_ends_without_a_sound_is_nudged_once_and_then_the_model_is_lost(
    autojump_clock: Clock,
) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("okay")
        talk.up()
        await talk.tell(ResponseFinished(None, "MAX_TOKENS"))
        (nudge,) = talk.up()
        assert isinstance(nudge, Speak)
        assert nudge.turn_id == 1
        assert not talk.over.is_set()
        await talk.tell(ResponseFinished(None))
        assert isinstance(talk.lost, ModelStalled)


async def test_a_sound_or_a_new_turn_makes_the_next_nudge_a_first_one(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        for _ in range(3):
            await talk.asks("okay")
            await talk.tell(ResponseFinished(None))
            await talk.answers(talk.next_generation())
        await talk.asks("okay")
        await talk.tell(ResponseFinished(None))
        await talk.asks("okay")
        await talk.tell(ResponseFinished(None))
        assert talk.lost is None
        assert len(of(talk.up(), Speak)) == 5


async def test_a_turn_that_ends_while_a_tool_runs_is_not_unanswered(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.asks("okay")
        talk.up()
        await talk.tell(ToolCallRequested("call-1", "look", {}), ResponseFinished(None))
        assert talk.up() == []
        assert "unanswered" not in talk.kinds()


async def test_an_empty_end_while_the_caller_speaks_is_nothing(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.starts()
        talk.up()
        await talk.tell(ResponseFinished(None), ResponseFinished(None))
        assert talk.up() == []
        assert talk.lost is None


# --- wishes ----------------------------------------------------------------------------------------------------------


async def test_a_wish_is_granted_when_the_agents_last_words_were_heard(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.owed()
        await talk.tell(ToolCallRequested("call-1", "end_call", {}))
        talk.desk.request_end("bye")
        generation = talk.next_generation()
        await talk.tell(RESULT, ResponseStarted(generation, trio.current_time()), ResponseFinished(generation))
        await trio.sleep(WISH_S - 1)
        assert not talk.over.is_set()
        await talk.tell(UtterancePlayed(generation, 300))
        assert talk.end == AgentEnds("bye")
        assert talk.desk.wish is None


async def test_a_wish_of_an_agent_that_never_stops_is_granted_when_patience_ends(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.owed()
        talk.desk.request_transfer(PERSON)
        asked_at = trio.current_time()
        await talk.tell(ResponseStarted(talk.next_generation(), asked_at))
        for _ in range(20):
            await trio.sleep(WISH_S / 10)
            if not talk.over.is_set():
                await talk.tell(KeyPressed("1"))
        assert talk.end == PersonWanted(PERSON)
        assert talk.ended_at == pytest.approx(asked_at + WISH_S, abs=0.01)


# --- a session that will be closed -----------------------------------------------------------------------------------


async def test_nothing_is_owed_while_quiet_or_while_the_caller_speaks_but_not_while_an_answer_is_awaited(
    autojump_clock: Clock,
) -> None:
    async with talking() as talk:
        assert not talk.talk.owes_nothing
        await talk.greeted()
        assert (talk.talk.owes_nothing, talk.talk.open_turn) == (True, None)
        await talk.starts()
        assert (talk.talk.owes_nothing, talk.talk.open_turn) == (True, 1)
        await talk.tell(CallerTranscript("okay", True))
        await talk.stops()
        assert (talk.talk.owes_nothing, talk.talk.open_turn) == (False, None)
        generation = talk.next_generation()
        await talk.tell(ResponseStarted(generation, trio.current_time()))
        assert not talk.talk.owes_nothing
        await talk.tell(ResponseFinished(generation))
        assert talk.talk.owes_nothing, "what is still to be heard of it comes from the pacer"


async def test_an_expiring_session_is_told_to_whoever_renews_it(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.tell(SessionExpiring(30.0))
        assert talk.talk.link.expiring.is_set()
        assert not talk.over.is_set()


async def test_a_successor_is_told_what_the_caller_has_said_of_the_open_turn(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.starts()
        uplink, told = trio.open_memory_channel[Uplink](64)
        talk.talk.go_on_with(uplink)
        assert talk.gate.rerouted_to is uplink
        first, *pieces = list(waiting(told))
        assert first == OpenTurn(1)
        assert b"".join(piece.mulaw for piece in of(pieces, CallerAudio)) == talk.gate.turn_so_far()
        await talk.tell(CallerTranscript("okay", True))
        await talk.stops()
        assert [commit.turn_id for commit in commits(list(waiting(told)))] == [1]


# --- waiting for what may never come ---------------------------------------------------------------------------------


async def test_a_caller_who_says_nothing_is_asked_and_in_the_end_let_go(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        asked = 0
        while not talk.over.is_set():
            before = trio.current_time()
            await trio.sleep(SILENCE_S + 0.1)
            if said := talk.up():
                assert said == [STILL_THERE.speak(0)]
                asked += 1
                await talk.answers(talk.next_generation())
            assert trio.current_time() - before < 2 * SILENCE_S
        assert asked == ASKED_TWICE
        assert isinstance(talk.end, AgentEnds)


async def test_a_call_that_has_lasted_as_long_as_it_may_ends_with_a_goodbye(autojump_clock: Clock) -> None:
    brief = TENANT.model_copy(update={"quotas": Quotas(longest_call_minutes=1)})
    async with talking(tenant=brief) as talk:
        await talk.greeted()
        for _ in range(5):
            await trio.sleep(11)
            await talk.asks("okay")
            await talk.answers(talk.next_generation())
            talk.up()
        assert not talk.over.is_set()
        await trio.sleep(60 - 5 * 11)
        await trio.testing.wait_all_tasks_blocked()
        assert talk.up() == [TIME_IS_UP.speak(5)]
        await talk.answers(talk.next_generation())
        assert isinstance(talk.end, AgentEnds)


async def test_a_line_that_never_pauses_is_answered_all_the_same(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        await talk.starts()
        await talk.tell(CallerTranscript("hello over all this noise", False))
        await trio.sleep(LONGEST_TURN_S - 0.1)
        assert commits(talk.up()) == []
        await trio.sleep(1)
        assert [commit.turn_id for commit in commits(talk.up())] == [1]
        assert "endless" in talk.kinds()


# --- what is only noted ----------------------------------------------------------------------------------------------


async def test_handles_keys_and_usage_are_kept(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.tell(ResumeHandle("h1"), KeyPressed("5"), UsageReported({"total": 12}))
        assert talk.record.handle == "h1"
        assert [moment.text for moment in talk.record.timeline if moment.kind == "key"] == ["5"]
        assert talk.record.timeline[-1].facts == {"tokens": {"total": 12}}
