"""Whatever reaches the turn-keeper in whatever order, what it tells the model keeps to the rules of a turn."""

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import (
    AgentTranscript,
    Asked,
    CallerTranscript,
    CommitTurn,
    Effect,
    FloorEvent,
    NothingFound,
    OpenTurn,
    ReportHeard,
    ResponseFinished,
    ResponseInterrupted,
    ResponseStarted,
    Skipped,
    SpeechEnded,
    SpeechStarted,
    ToolCallRequested,
    ToolCallsCancelled,
    ToolResult,
    ToolStarted,
    Uplink,
    UtteranceCleared,
    UtterancePlayed,
)
from tests.call.floor import Talk, notes, talking

TEXTS = ["is there", "is there parking", "okay"]
TURNS = st.integers(1, 4)
GENERATIONS = st.integers(1, 30)
CALLS = st.sampled_from(["c1", "c2"])
EVENTS: st.SearchStrategy[FloorEvent] = st.one_of(
    st.builds(SpeechStarted, st.just(0.0)),
    st.builds(SpeechEnded, st.just(0.0), st.just(0.5), st.just(900.0)),
    st.builds(CallerTranscript, st.sampled_from(TEXTS), st.booleans()),
    st.builds(notes, st.sampled_from(TEXTS), TURNS),
    st.builds(NothingFound, TURNS, st.sampled_from(TEXTS), st.just(1.0)),
    st.builds(Skipped, TURNS, st.just("retriever failed")),
    st.builds(ResponseStarted, GENERATIONS, st.just(1.0)),
    st.builds(AgentTranscript, st.one_of(st.none(), GENERATIONS), st.just(" word")),
    st.builds(ResponseFinished, st.one_of(st.none(), GENERATIONS)),
    st.builds(ResponseInterrupted, st.one_of(st.none(), GENERATIONS)),
    st.builds(UtterancePlayed, GENERATIONS, st.just(100.0)),
    st.builds(UtteranceCleared, GENERATIONS, st.just(50.0), st.just(100.0)),
    st.builds(ToolCallRequested, CALLS, st.just("look"), st.just({})),
    st.builds(lambda call: ToolCallsCancelled((call,)), CALLS),
    st.builds(lambda call: ToolResult(call, "look", {"status": "ok"}), CALLS),
    st.builds(ToolStarted, CALLS, st.just("look"), st.just(Effect.READS), st.just("Let me look.")),
)


class Watch:
    """The rules of a turn, kept by what goes up."""

    def __init__(self) -> None:
        self.open: int | None = None
        self.newest = 0
        self.asked: set[str] = set()

    def see(self, message: Uplink) -> None:
        match message:
            case OpenTurn(turn_id):
                assert self.open is None
                assert turn_id == self.newest + 1
                self.open = self.newest = turn_id
            case CommitTurn(Asked(turn_id), outcome):
                assert turn_id == self.open == outcome.turn_id
                self.open = None
            case ToolResult(call_id):
                assert call_id in self.asked
            case ReportHeard(_, heard_ms):
                assert heard_ms == 50.0
            case _:
                pass


@settings(max_examples=70, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.sampled_from([0.0, 0.0, 0.1, 0.3, 13.0])), max_size=40))
def test_turns_are_opened_and_committed_in_order_each_with_its_own_outcome(
    steps: list[tuple[FloorEvent, float]],
) -> None:
    async def main() -> None:
        async with talking() as talk:
            watch = Watch()
            for event, pause_s in steps:
                if isinstance(event, ToolCallRequested):
                    watch.asked.add(event.call_id)
                await talk.tell(event)
                await trio.sleep(pause_s)
                for message in talk.up():
                    watch.see(message)
                talk.out()
                talk.asked()
                talk.called()
                if talk.over.is_set():
                    return
                check_gate(talk, watch)
            await finish(talk, watch)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def check_gate(talk: Talk, watch: Watch) -> None:
    """Sound goes up exactly while a turn is open."""
    assert (talk.gate.changes[-1:] == ["open"]) == (watch.open is not None)
    assert (talk.record.floor == "caller") == (watch.open is not None)


async def finish(talk: Talk, watch: Watch) -> None:
    """An open turn is always answered once the caller is done, found or not."""
    await talk.stops()
    await trio.sleep(0.3)
    for message in talk.up():
        watch.see(message)
    assert watch.open is None or talk.over.is_set()
