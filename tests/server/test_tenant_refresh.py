"""Whatever the database says of tenants, those known go on being served."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from engine.errors import ConfigurationError, StoreUnavailable
from engine.fallback.prompts import PromptLibrary
from engine.server.tenant_refresh import RETRY_S, LiveDirectory, run_tenant_refresh
from engine.tenants.tenant import Tenant, ToolSpec
from engine.tools.catalog import standard_catalog
from tests.fallback.stage import SpellingVoice

NUMBER, FREED = "+15550100100", "+15550100200"
KNOWN = Tenant(id="acme", name="Acme", greeting="Hi.", numbers=(NUMBER,))
BROKEN = KNOWN.model_copy(update={"numbers": (FREED,), "tools": (ToolSpec(name="no_such", description=""),)})
CHANGED = KNOWN.model_copy(update={"numbers": (FREED,)})
HEIR = Tenant(id="heir", name="Heir", greeting="Hi.", numbers=(NUMBER,))
Loaded = list[Tenant] | Exception


@pytest.mark.parametrize(
    "first",
    [
        StoreUnavailable("away"),
        ConfigurationError("a document of tomorrow's form"),
        [BROKEN, HEIR],  # the broken one is to go on as it was known, with the number that is now another's
    ],
    ids=["away", "unreadable", "one number twice"],
)
async def test_what_cannot_be_taken_in_costs_nobody_anything(
    first: Loaded, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inline(work: Callable[..., None], *args: object) -> None:
        work(*args)  # no thread: virtual time would not wait for it

    monkeypatch.setattr(trio.to_thread, "run_sync", inline)
    answers: list[Loaded] = [first, [CHANGED, HEIR]]
    directory = LiveDirectory([KNOWN])

    async def watch(changed: Callable[[str | None], None]) -> Callable[[], Awaitable[object]]:
        changed(None)
        return trio.lowlevel.checkpoint

    async def load() -> list[Tenant]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: run_tenant_refresh(
                watch=watch,
                load=load,
                directory=directory,
                library=PromptLibrary(SpellingVoice()),
                catalog=standard_catalog(),
            )
        )
        await trio.sleep(RETRY_S / 2)
        assert directory.tenant_for_number(NUMBER) == KNOWN
        await trio.sleep(RETRY_S)
        assert directory.tenant_for_number(NUMBER) == HEIR
        assert directory.tenant_for_number(FREED) == CHANGED
        nursery.cancel_scope.cancel()
