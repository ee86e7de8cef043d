"""How many calls does it hold? Loads of growing size until the quality bar fails, then the border between the two."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

UNLOADED_CALLS = 5
FIRST = 20


@dataclass(frozen=True, slots=True)
class Tried:
    """One load."""

    calls: int
    held: bool
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Capacity:
    """The most calls that held, and every load that was tried; ``calls`` is 0 where not even the smallest held.

    Attributes:
        limited_by: what the first load that failed was limited by; a generator's limit is none of the server's.
    """

    calls: int
    limited_by: str
    tried: tuple[Tried, ...]


async def find_capacity(
    run: Callable[[int, float | None], Awaitable[dict[str, Any]]],
    *,
    most: int,
    step: int = 10,
    on_tried: Callable[[Tried], None] = lambda _: None,
) -> Capacity:
    """Search.

    Args:
        run: a load of so many calls, judged against that p99 of an unloaded server (None: this is that one).
        most: no load is larger.
        step: the answer is right to so many calls.
    """
    tried: list[Tried] = []

    async def holds(calls: int) -> bool:
        report = await run(calls, unloaded)
        tried.append(Tried(calls, bool(report["load"]["held"]), report))
        on_tried(tried[-1])
        return tried[-1].held

    unloaded: float | None = None
    quiet = await run(min(UNLOADED_CALLS, most), None)
    if quiet["response_ms"] is not None:
        unloaded = float(quiet["response_ms"]["p99"])
    good, bad = 0, most + 1
    calls = min(FIRST, most)
    while bad == most + 1 and good < most:
        if await holds(calls):
            good, calls = calls, min(2 * calls, most)
        else:
            bad = calls
    while bad - good > step and bad <= most:
        middle = (good + bad) // 2
        if await holds(middle):
            good = middle
        else:
            bad = middle
    failed = [one for one in tried if not one.held]
    limited_by = min(failed, key=lambda one: one.calls).report["limited_by"] if failed else "none"
    return Capacity(good, str(limited_by), tuple(tried))
