"""The search for the most calls that hold."""

from typing import Any

import trio
from hypothesis import given
from hypothesis import strategies as st

from engine.loadtest.capacity import Capacity, find_capacity


async def search(holds: int, most: int, step: int = 10) -> tuple[Capacity, list[tuple[int, float | None]]]:
    asked: list[tuple[int, float | None]] = []

    async def run(calls: int, unloaded: float | None) -> dict[str, Any]:
        asked.append((calls, unloaded))
        held = calls <= holds
        return {
            "response_ms": {"p99": 770.0},
            "limited_by": "none" if held else "server",
            "load": {"held": held, "failures": [] if held else ["busy"]},
        }

    return await find_capacity(run, most=most, step=step), asked


@given(holds=st.integers(0, 400), most=st.integers(5, 400), step=st.integers(1, 40))
def test_the_answer_holds_and_is_right_to_a_step(holds: int, most: int, step: int) -> None:
    found, _ = trio.run(search, holds, most, step)
    real = min(holds, most)
    assert found.calls <= real < found.calls + max(step, 1)
    assert found.limited_by == ("none" if most <= holds else "server")


async def test_every_load_is_judged_against_the_unloaded_server() -> None:
    _, asked = await search(holds=100, most=200)
    assert asked[0] == (5, None)
    assert {unloaded for _, unloaded in asked[1:]} == {770.0}


async def test_no_load_is_tried_twice() -> None:
    _, asked = await search(holds=137, most=300, step=1)
    assert len({calls for calls, _ in asked}) == len(asked)
