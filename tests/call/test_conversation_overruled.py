"""An operator speaks, or orders something, while a model has the floor: its holder neither waits nor sleeps through."""

import pytest
import trio
import trio.testing

from engine.call.deadlines import ASKED_TWICE, SILENCE_S
from engine.call.desk import AgentEnds
from engine.messages import Floor, OperatorActed, ResponseFinished, ResponseStarted
from tests.call.floor import talking

Clock = trio.testing.MockClock


async def test_a_response_that_an_operator_spoke_over_before_its_first_sound_is_not_waited_for(
    autojump_clock: Clock,
) -> None:
    async with talking() as talk:
        await talk.owed()
        generation = talk.next_generation()
        await talk.tell(ResponseStarted(generation, trio.current_time()))
        # The line came first on the playout: nothing of the response was played, so nothing will be told of its end.
        await talk.tell(OperatorActed(talk.next_generation()))
        assert talk.floor() is Floor.AGENT
        await talk.tell(ResponseFinished(generation))
        assert talk.floor() is Floor.NOBODY


@pytest.mark.parametrize("ordered", [True, False])
async def test_an_order_is_noticed_by_a_quiet_conversation_at_once(autojump_clock: Clock, ordered: bool) -> None:
    async with talking() as talk:
        await talk.greeted()
        talk.desk.order(AgentEnds("ordered by Ann", ordered=True))
        if ordered:
            await talk.tell(OperatorActed())
        assert talk.over.is_set() is ordered


async def test_a_caller_to_whom_an_operator_speaks_is_not_taken_for_gone(autojump_clock: Clock) -> None:
    async with talking() as talk:
        await talk.greeted()
        for _ in range(ASKED_TWICE):
            await trio.sleep(SILENCE_S + 0.1)
            await talk.answers(talk.next_generation())
        await trio.sleep(SILENCE_S - 1)
        await talk.tell(OperatorActed(talk.next_generation()))
        await trio.sleep(2)
        assert not talk.over.is_set()
