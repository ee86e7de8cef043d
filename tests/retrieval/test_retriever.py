"""The retriever under virtual time."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from engine.errors import MisuseError, RemoteError
from engine.messages import FloorEvent, Notes, NothingFound, Passage, Query, Skipped
from engine.retrieval.retriever import AT_ONCE, KEPT_PER_TURN, SEARCH_S, SETTLE_S, run_retriever


@dataclass
class FakeSearch:
    """Finds one passage that quotes the question, after ``search_s``; remembers what it was asked."""

    search_s: float = 0.1
    fails: Callable[[str], BaseException | None] = lambda _: None
    owner: str | None = None
    asked: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    heeds_nothing: bool = False

    async def search(self, tenant_id: str, text: str, *, limit: int) -> list[Passage]:
        self.asked.append(text)
        try:
            with trio.CancelScope(shield=self.heeds_nothing):
                await trio.sleep(self.search_s)
        except trio.Cancelled:
            self.cancelled.append(text)
            raise
        if error := self.fails(text):
            raise error
        if "nothing" in text:
            return []
        return [
            Passage(self.owner or tenant_id, "a note", f"about {text} {n}", 1.0 / (n + 1)) for n in range(limit + 2)
        ]


@dataclass
class Room:
    ask_channel: trio.MemorySendChannel[Query]
    inbox: trio.MemoryReceiveChannel[FloorEvent]
    search: FakeSearch

    async def ask(self, turn_id: int, text: str, *, final: bool = False) -> None:
        await self.ask_channel.send(Query("acme", turn_id, text, final))

    async def hear(self) -> FloorEvent:
        with trio.fail_after(60):
            return await self.inbox.receive()

    async def close(self) -> list[FloorEvent]:
        """End the actor; what it still said."""
        self.ask_channel.close()
        return [event async for event in self.inbox]


@asynccontextmanager
async def a_room(search: FakeSearch | None = None, limit: int = 3) -> AsyncIterator[Room]:
    search = search or FakeSearch()
    ask, queries = trio.open_memory_channel[Query](8)
    inbox, hear = trio.open_memory_channel[FloorEvent](64)
    async with trio.open_nursery() as nursery:

        async def retriever() -> None:
            await run_retriever(tenant_id="acme", queries=queries, inbox=inbox, search=search, limit=limit)

        nursery.start_soon(retriever)
        with hear:
            yield Room(ask, hear, search)
        nursery.cancel_scope.cancel()


def said(event: FloorEvent) -> tuple[int, str]:
    assert isinstance(event, Notes | NothingFound)
    return event.turn_id, event.query


async def test_a_final_query_gets_notes_best_first_and_no_more_than_the_limit(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "parking", final=True)
        notes = await room.hear()
        assert isinstance(notes, Notes)
        assert [passage.text for passage in notes.passages] == [f"about parking {n}" for n in range(3)]
        assert notes.search_ms == pytest.approx(100)
        assert await room.close() == []


async def test_a_question_that_finds_nothing_says_so(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "nothing of ours", final=True)
        outcome = await room.hear()
        assert isinstance(outcome, NothingFound)
        assert said(outcome) == (1, "nothing of ours")
        assert outcome.search_ms == pytest.approx(100)


async def test_a_speculative_query_is_answered_too(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "park")
        assert said(await room.hear()) == (1, "park")


async def test_a_newer_text_of_the_turn_ends_the_older_search(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        for text in ("do", "do you", "do you have parking"):
            await room.ask(1, text)
            await trio.sleep(SETTLE_S + 0.01)
        assert said(await room.hear()) == (1, "do you have parking")
        assert room.search.cancelled == ["do", "do you"]
        assert await room.close() == []


async def test_words_that_come_in_a_burst_are_searched_for_once(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        for text in ("do", "do you", "do you have parking"):
            await room.ask(1, text)
            await trio.sleep(SETTLE_S / 2)
        assert said(await room.hear()) == (1, "do you have parking")
        assert room.search.asked == ["do you have parking"]
        assert await room.close() == []


async def test_a_caller_who_is_done_waits_for_no_more_words(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "do you have parking")
        await trio.sleep(SETTLE_S / 2)
        asked_at = trio.current_time()
        await room.ask(1, "Do you have parking?", final=True)
        assert said(await room.hear()) == (1, "Do you have parking?")
        assert trio.current_time() - asked_at == pytest.approx(0.1)
        assert room.search.asked == ["Do you have parking?"]


async def test_a_newer_turn_ends_the_older_turns_speculative_search(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "parking")
        await trio.sleep(SETTLE_S + 0.01)
        await room.ask(2, "prices")
        assert said(await room.hear()) == (2, "prices")
        assert room.search.cancelled == ["parking"]
        assert await room.close() == []


async def test_a_final_search_is_never_given_up(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "parking", final=True)
        await trio.sleep(0.01)
        await room.ask(1, "parking for bikes", final=True)
        await room.ask(2, "prices")
        await room.ask(2, "prices of crowns", final=True)
        heard = [said(await room.hear()) for _ in range(3)]
        assert sorted(heard) == [(1, "parking"), (1, "parking for bikes"), (2, "prices of crowns")]
        assert await room.close() == []


async def test_what_was_found_while_the_caller_spoke_serves_the_final_text_at_once(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "do you have parking")
        early = await room.hear()
        asked_at = trio.current_time()
        await room.ask(1, "Do you have  parking?", final=True)
        final = await room.hear()
        assert trio.current_time() == asked_at
        assert said(final) == (1, "Do you have  parking?")
        assert isinstance(early, Notes)
        assert isinstance(final, Notes)
        assert final.passages == early.passages
        assert room.search.asked == ["do you have parking"]


async def test_a_final_text_joins_the_search_that_is_running_for_it(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "do you have parking")
        await trio.sleep(SETTLE_S + 0.08)
        asked_at = trio.current_time()
        await room.ask(1, "Do you have parking?", final=True)
        await room.ask(2, "something new")
        assert said(await room.hear()) == (1, "Do you have parking?")
        assert trio.current_time() - asked_at == pytest.approx(0.02)
        assert said(await room.hear()) == (2, "something new")
        assert room.search.asked == ["do you have parking", "something new"]
        assert await room.close() == []


async def test_a_final_text_that_says_more_is_searched_anew(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "do you have parking")
        await room.hear()
        await room.ask(1, "do you have parking for bikes", final=True)
        assert said(await room.hear()) == (1, "do you have parking for bikes")
        assert len(room.search.asked) == 2


async def test_an_earlier_partial_text_is_reused_when_the_caller_takes_the_rest_back(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "parking")
        await room.hear()
        await room.ask(1, "parking uh")
        await room.ask(1, "parking", final=True)
        assert said(await room.hear()) == (1, "parking")
        assert await room.close() == []


async def test_what_was_found_in_one_turn_is_searched_anew_in_the_next(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        for turn_id in (1, 2):
            await room.ask(turn_id, "parking", final=True)
            assert said(await room.hear()) == (turn_id, "parking")
        assert room.search.asked == ["parking", "parking"]


async def test_a_late_answer_to_an_older_turn_serves_no_newer_one(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "parking", final=True)
        await trio.sleep(0.05)
        await room.ask(2, "prices")
        assert said(await room.hear()) == (1, "parking")
        await room.hear()
        await room.ask(2, "parking", final=True)
        assert said(await room.hear()) == (2, "parking")
        assert room.search.asked == ["parking", "prices", "parking"]


async def test_a_speculative_query_of_an_older_turn_is_dropped(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(2, "prices")
        await room.ask(1, "parking")
        assert said(await room.hear()) == (2, "prices")
        assert await room.close() == []
        assert room.search.asked == ["prices"]


@pytest.mark.parametrize("error", [RemoteError("no"), OSError("down"), trio.TooSlowError()])
async def test_a_search_that_fails_skips_the_turn_and_the_next_goes_on(
    error: Exception, autojump_clock: MockClock
) -> None:
    async with a_room(FakeSearch(fails=lambda text: error if "broken" in text else None)) as room:
        await room.ask(1, "broken", final=True)
        assert await room.hear() == Skipped(1, "retriever failed")
        await room.ask(2, "parking", final=True)
        assert said(await room.hear()) == (2, "parking")


async def test_a_speculative_search_that_fails_leaves_the_final_one_its_chance(autojump_clock: MockClock) -> None:
    failures = iter([OSError("down")])
    async with a_room(FakeSearch(fails=lambda _: next(failures, None))) as room:
        await room.ask(1, "parking")
        await trio.sleep(1)
        await room.ask(1, "parking", final=True)
        assert said(await room.hear()) == (1, "parking")
        assert await room.close() == []


async def test_a_search_that_never_ends_is_given_up_for_the_turn(autojump_clock: MockClock) -> None:
    async with a_room(FakeSearch(search_s=1e9)) as room:
        await room.ask(1, "parking", final=True)
        began = trio.current_time()
        assert await room.hear() == Skipped(1, "retriever failed")
        assert trio.current_time() - began == pytest.approx(SEARCH_S)


async def test_searches_that_heed_no_end_are_few_and_when_they_have_ended_others_begin(
    autojump_clock: MockClock,
) -> None:
    async with a_room(FakeSearch(search_s=60.0, heeds_nothing=True)) as room:
        for turn in range(AT_ONCE + 2):
            await room.ask(turn, f"question {turn}", final=True)
            await trio.sleep(SEARCH_S + 1)
        assert len(room.search.asked) == AT_ONCE
        assert [await room.hear() for _ in range(2)] == [Skipped(turn, "retriever failed") for turn in (3, 4)]
        await trio.sleep(60.0)
        room.search.search_s = 0.1
        await room.ask(9, "and now", final=True)
        told = [await room.hear() for _ in range(AT_ONCE + 1)]
        assert [event.turn_id for event in told if isinstance(event, Notes)] == [0, 1, 2, 9], "late, but told"


async def test_a_final_query_without_words_is_skipped(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, " ... ")
        await room.ask(1, " ... ", final=True)
        assert await room.hear() == Skipped(1, "no query text")
        assert await room.close() == []
        assert room.search.asked == []


async def test_a_query_of_another_tenant_crashes_the_actor_unanswered(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(MisuseError, match="acme was asked by other"), flatten_subgroups=True):
        async with a_room() as room:
            await room.ask_channel.send(Query("other", 1, "parking", True))
            await trio.sleep(10)


async def test_a_passage_of_another_tenant_crashes_the_actor_and_is_never_told(autojump_clock: MockClock) -> None:
    heard: list[FloorEvent] = []
    with pytest.RaisesGroup(pytest.RaisesExc(MisuseError, match="a passage of other"), flatten_subgroups=True):
        async with a_room(FakeSearch(owner="other")) as room:
            await room.ask(1, "parking", final=True)
            heard += [event async for event in room.inbox]
            await trio.sleep(10)
    assert heard == []


async def test_a_bug_in_a_search_crashes_the_actor(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with a_room(FakeSearch(fails=lambda _: ZeroDivisionError())) as room:
            await room.ask(1, "parking", final=True)
            await trio.sleep(10)


async def test_when_no_more_queries_can_come_finals_are_still_answered_and_guesses_are_not(
    autojump_clock: MockClock,
) -> None:
    async with a_room() as room:
        await room.ask(1, "parking", final=True)
        await room.ask(2, "pri")
        assert [said(event) for event in await room.close()] == [(1, "parking")]


async def test_a_caller_who_is_gone_is_no_error(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        await room.ask(1, "parking", final=True)
        room.inbox.close()
        await trio.sleep(1)
        room.ask_channel.close()


async def test_a_long_turn_keeps_only_its_latest_texts(autojump_clock: MockClock) -> None:
    async with a_room() as room:
        for n in range(KEPT_PER_TURN + 1):
            await room.ask(1, f"text {n}")
            await room.hear()
        await room.ask(1, "text 0", final=True)
        await room.hear()
        assert room.search.asked.count("text 0") == 2
        await room.ask(1, f"text {KEPT_PER_TURN}", final=True)
        await room.hear()
        assert room.search.asked.count(f"text {KEPT_PER_TURN}") == 1


async def test_every_final_gets_exactly_one_outcome_in_any_schedule(autojump_clock: MockClock) -> None:
    """Many turns, each with guesses and one final, at seeded odd moments."""
    for seed in range(20):
        rng = random.Random(seed)
        async with a_room(FakeSearch(search_s=0.05)) as room:
            finals: list[tuple[int, str]] = []
            for turn_id in range(1, 15):
                for n in range(rng.randrange(4)):
                    await room.ask(turn_id, f"q{turn_id} {n}")
                    await trio.sleep(rng.choice((0, 0.01, 0.06)))
                final = f"Q{turn_id} {rng.randrange(4)}!"
                finals.append((turn_id, final))
                await room.ask(turn_id, final, final=True)
                await trio.sleep(rng.choice((0, 0.01, 0.06)))
            heard = [said(event) for event in await room.close()]
            assert sorted(answer for answer in heard if "!" in answer[1]) == sorted(finals)
