"""No effect twice: duplicates by id, by meaning, in flight, after a restart, and in a storm."""

import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.messages import Effect, ToolCall
from engine.store.ledger import ClaimRequest
from engine.tools import answers
from engine.tools.ledger import effect_key, normalised
from tests.tools.room import Room, World, a_room


async def test_the_same_call_twice_is_done_once_and_answered_twice(autojump_clock: MockClock) -> None:
    async with a_room(World()) as room:
        await room.ask("1")
        await room.ask("1")
        first, second = [await room.hear() for _ in range(2)]
        assert first.response == second.response == answers.ok("done: a")
        assert [first.deduplicated, second.deduplicated] == [False, True]
        assert room.world.done == ["a"]
        assert len(room.started) == 1


async def test_a_new_id_that_means_the_same_is_done_once(autojump_clock: MockClock) -> None:
    async with a_room(World()) as room:
        await room.ask("1", what="Ann at nine")
        await room.hear()
        await room.ask("2", what="  ann  at NINE ")
        again = await room.hear()
        assert again.deduplicated
        assert again.response == answers.ok("done: Ann at nine")
        assert room.world.done == ["Ann at nine"]


async def test_a_write_is_once_per_call_a_read_once_per_turn(autojump_clock: MockClock) -> None:
    async with a_room(World()) as room:
        for turn_id in (1, 2):
            for name in ("look", "write", "press"):
                await room.ask(f"{name} {turn_id}", name, turn_id=turn_id, what=name)
                assert (await room.hear()).deduplicated == (name == "write" and turn_id == 2)
        assert room.world.done == ["look", "write", "press", "look", "press"]


async def test_an_id_that_comes_back_for_something_else_is_refused(autojump_clock: MockClock) -> None:
    async with a_room(World()) as room:
        await room.ask("1", what="a")
        await room.hear()
        await room.ask("1", what="b")
        result = await room.hear()
        assert (result.response["status"], result.response["retryable"]) == ("refused", True)
        assert room.world.done == ["a"]


async def test_a_duplicate_of_a_cancelled_read_runs_by_itself(autojump_clock: MockClock) -> None:
    async with a_room(World(works_s=3)) as room:
        await room.ask("1", "look")
        await room.ask("2", "look")
        await trio.sleep(1)
        await room.cancel("1")
        first, second = [await room.hear() for _ in range(2)]
        assert (first.call_id, first.response) == ("1", answers.STOPPED)
        assert (second.call_id, second.response, second.deduplicated) == ("2", answers.ok("done: a"), False)
        assert room.world.done == ["a"]


async def test_a_waiting_duplicate_of_a_write_can_stop_waiting(autojump_clock: MockClock) -> None:
    async with a_room(World(works_s=3)) as room:
        await room.ask("1")
        await room.ask("2")
        await trio.sleep(1)
        await room.cancel("2")
        stopped, done = [await room.hear() for _ in range(2)]
        assert (stopped.call_id, stopped.response) == ("2", answers.STOPPED)
        assert (done.call_id, done.response) == ("1", answers.ok("done: a"))


async def test_after_a_restart_the_ledger_answers(autojump_clock: MockClock) -> None:
    world = World(works_s=3)
    async with a_room(world) as room:
        await room.ask("1")
        await trio.sleep(1)
        room.scope.cancel()
    async with a_room(world) as room:
        await room.ask("1")
        again = await room.hear()
        assert (again.response, again.deduplicated) == (answers.ok("done: a"), True)
        assert world.done == ["a"]


async def test_two_executors_of_one_call_do_a_thing_once(autojump_clock: MockClock) -> None:
    """As after a recovery, when the old worker still finishes what it had begun."""
    world = World(works_s=3)
    async with a_room(world) as old, a_room(world) as new:
        await old.ask("1")
        await trio.sleep(1)
        await new.ask("9")
        assert (await new.hear()).deduplicated
        assert not (await old.hear()).deduplicated
        assert world.done == ["a"]


async def test_a_write_whose_worker_died_is_for_a_person(autojump_clock: MockClock) -> None:
    world = World()

    call = ToolCall("acme", "CA1", 1, "0", "write", {"what": "a"})
    await world.ledger.claim(effect_key(call, once_per_call=True), ClaimRequest("0", "dead", Effect.WRITES, 8.0))
    async with a_room(world) as room:
        began = trio.current_time()
        await room.ask("1")
        assert (await room.hear()).response == answers.CALL_BACK
        assert trio.current_time() - began < 20
        await room.ask("2")
        assert (await room.hear()).deduplicated
        assert world.begun == []


async def test_every_try_of_an_effect_carries_one_id_and_others_another(autojump_clock: MockClock) -> None:
    async with a_room(World()) as room:
        room.world.response = answers.refused("not now")
        for call_id, what in (("1", "a"), ("2", "a"), ("3", "b")):
            await room.ask(call_id, what=what)
            await room.hear()
        first, again, other = room.world.effect_ids
        assert first == again != other
        assert len(first) == 32


@pytest.mark.parametrize("seed", range(5))
async def test_two_hundred_duplicates_at_odd_moments_do_one_thing_once(seed: int, autojump_clock: MockClock) -> None:
    """200 calls that mean one write, 40 ids among them, cancelled at random, the executor restarted in between."""
    rng = random.Random(seed)
    world = World(works_s=2)
    answered: list[str] = []
    asked = 0
    for leg in range(2):
        async with a_room(world) as room:

            async def ask(call_id: str, after_s: float, cancel_s: float | None, room: Room = room) -> None:
                await trio.sleep(after_s)
                await room.ask(call_id, what=rng.choice(("Ann", "ann ", " ANN")))
                if cancel_s is not None:
                    await trio.sleep(cancel_s)
                    await room.cancel(call_id)

            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    asked += 1
                    cancel_s = rng.choice((None, 0.0, rng.random() * 3))
                    nursery.start_soon(ask, f"id {rng.randrange(40)}", rng.choice((0.0, rng.random() * 4)), cancel_s)
            for result in await room.close():
                answered.append(result.call_id)
                assert result.response in (answers.ok(f"done: {world.done[0]}"), answers.STOPPED)
                assert result.deduplicated or leg == 0 or result.response == answers.STOPPED
    assert len(world.done) == len(world.begun) == 1
    assert len(answered) == asked == 200


@pytest.mark.parametrize("seed", range(5))
async def test_a_storm_of_mixed_calls_is_answered_one_to_one(seed: int, autojump_clock: MockClock) -> None:
    """Reads and writes of many meanings, cancelled at random; the call ends in the middle of it."""
    rng = random.Random(seed)
    world = World(works_s=0.7)
    asked: dict[str, int] = {}
    async with a_room(world) as room:
        for n in range(200):
            name, what = rng.choice(("look", "write")), rng.choice("abcdefgh")
            call_id = f"{name} {what} {rng.randrange(3)}"
            await room.ask(call_id, name, turn_id=1, what=f"{name} {what}")
            asked[call_id] = asked.get(call_id, 0) + 1
            if rng.random() < 0.3:
                await room.cancel(rng.choice(list(asked)))
            await trio.sleep(rng.choice((0, 0, 0.05)))
            if n == 150:
                await wait_all_tasks_blocked()
                break
        room.scope.cancel()
        results = await room.close()
    counted: dict[str, int] = {}
    for result in results:
        counted[result.call_id] = counted.get(result.call_id, 0) + 1
    assert counted == asked
    writes = [what for what in world.done if what.startswith("write")]
    assert len(writes) == len(set(writes))
    begun_writes = {what for what in world.begun if what.startswith("write")}
    assert set(writes) == begun_writes  # what was begun was finished, though the call ended


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.randoms())
def test_order_case_and_spacing_never_make_another_effect(arguments: dict[str, object], rng: random.Random) -> None:
    names = list(arguments)
    rng.shuffle(names)
    shuffled = {name: arguments[name] for name in names}
    assert normalised(shuffled) == normalised(arguments)
    spaced = {name: f" {value}  " if isinstance(value, str) else value for name, value in arguments.items()}
    assert normalised(spaced) == normalised(arguments)


def test_other_values_make_another_effect() -> None:
    texts = [normalised({"a": value}) for value in ("1", 1, 2, True, None, [1], ["1"], {"1": 1}, 1.5)]
    assert len(set(texts)) == len(texts)
    assert normalised({"a": 3.0, "b": "X  y"}) == normalised({"b": "x Y", "a": 3})
