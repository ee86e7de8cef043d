"""The callers of a load test, without their processes."""

import random
from typing import Any

import httpx
import pytest
import trio.testing

from engine.loadtest import callers
from engine.loadtest.plan import Plan, Target
from engine.loadtest.talk import Talk
from engine.sim.carrier_web import CarrierAccount
from engine.telephony.plane import MediaPlane


class _PlacedError(Exception):
    """Far enough."""


async def test_the_same_plan_makes_new_calls_each_time(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """A deployment remembers calls that have ended, and would take none with their identifiers."""
    seeds: list[int | None] = []

    async def place_call(**given: Any) -> None:
        seeds.append(given["options"].seed)
        raise _PlacedError

    monkeypatch.setattr(callers, "place_call", place_call)
    plan = Plan(calls=1)
    target = Target(url="https://voice.example.com", account_sid="AC", auth_token="token", called="+15550100001")
    async with httpx.AsyncClient() as http:
        for _ in range(2):
            place = callers._Placing(
                plan,
                target,
                CarrierAccount(target.account_sid, target.auth_token, target.url),
                MediaPlane(),
                http,
                callers._Calls(),
                {},
            )
            with pytest.raises(_PlacedError):
                await place.call(Talk(()), 4.0, random.Random("the same"))
    assert seeds == [None, None], "identifiers are fresh ones"
