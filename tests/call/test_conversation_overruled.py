"""An operator speaks, or orders something, while a model has the floor: its holder neither waits nor sleeps through."""

import pytest
import trio
import trio.testing

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
