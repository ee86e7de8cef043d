"""The way to the database's thread and back, with nobody's database involved but where it says so."""

import contextvars
import threading

import pytest
import trio

from engine.errors import MisuseError, StoreUnavailable
from engine.store.bridge import open_db_thread, pause
from engine.store.database import Database
from engine.store.sql import Connection

pytestmark = pytest.mark.real_time

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


async def test_it_runs_over_there_with_our_context() -> None:
    async def unit(number: int) -> tuple[str, str, int]:
        await pause(0)
        return threading.current_thread().name, WHO.get(), number

    async with open_db_thread() as thread:
        WHO.set("acme")
        assert await thread.run(unit, 7) == ("database", "acme", 7)
        assert thread.statistics().hops == 1


async def test_exceptions_arrive_as_themselves() -> None:
    async def unit() -> None:
        raise LookupError("over there")

    async with open_db_thread() as thread:
        with pytest.raises(LookupError, match="over there"):
            await thread.run(unit)


async def test_a_cancelled_unit_has_cleaned_up_when_its_caller_goes_on() -> None:
    events: list[str] = []

    async def unit() -> None:
        try:
            await pause(60)
        finally:
            await pause(0.05)
            events.append("cleaned up")

    async with open_db_thread() as thread:
        with trio.move_on_after(0.05) as scope:
            await thread.run(unit)
        assert scope.cancelled_caught
        assert events == ["cleaned up"]
        assert (thread.statistics().cancelled, thread.statistics().abandoned) == (1, 0)


async def test_an_abandoned_unit_holds_nobody_up() -> None:
    events: list[str] = []

    async def unit() -> None:
        try:
            await pause(60)
        finally:
            await pause(0.3)
            events.append("cleaned up")

    async with open_db_thread() as thread:
        started = trio.current_time()
        with trio.move_on_after(0.05):
            await thread.run(unit, abandon=True)
        assert trio.current_time() - started < 0.25
        assert events == []
        assert thread.statistics().abandoned == 1
    assert events == ["cleaned up"]


async def test_what_was_done_before_the_cancellation_came_is_a_result() -> None:
    async def unit() -> str:
        try:
            await pause(60)
        except BaseException:  # noqa: BLE001 - this unit will not be stopped
            return "done all the same"
        return "never"

    async with open_db_thread() as thread:
        with trio.move_on_after(0.05):
            assert await thread.run(unit) == "done all the same"


async def test_a_caller_that_is_cancelled_already_starts_nothing() -> None:
    started: list[int] = []

    async def unit() -> None:
        started.append(1)

    async with open_db_thread() as thread:
        with trio.CancelScope() as scope:
            scope.cancel()
            await thread.run(unit)
        await trio.sleep(0.02)
    assert started == []


async def test_no_cancellation_at_any_moment_hangs() -> None:
    async def unit() -> None:
        await pause(0.001)

    async with open_db_thread() as thread:

        async def one(number: int) -> None:
            with trio.move_on_after(number / 100_000):
                await thread.run(unit, abandon=number % 2 == 0)

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for number in range(500):
                    nursery.start_soon(one, number)
        assert thread.statistics().in_flight == 0


async def test_a_crash_that_nobody_awaits_is_counted() -> None:
    async def crashes() -> None:
        raise LookupError("in the background")

    async with open_db_thread() as thread:

        async def start() -> None:
            thread.start_soon(crashes)
            await pause(0.01)

        await thread.run(start)
        assert thread.statistics().crashed == 1


async def test_when_the_thread_has_ended_asking_it_is_a_mistake_of_ours() -> None:
    async with open_db_thread() as thread:
        pass
    with pytest.raises(MisuseError):
        await thread.run(pause, 0)


async def test_a_cancelled_query_is_gone_from_the_server_with_its_transaction(database: Database) -> None:
    async def slow(connection: Connection) -> None:
        await connection.execute("insert into source values ('acme', 's', 'n', 'k', 'd')")
        await connection.execute("select pg_sleep(30)")

    async def left(connection: Connection) -> tuple[int, int]:
        running = await connection.fetchval(
            "select count(*) from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'"
        )
        return running, await connection.fetchval("select count(*) from source")

    started = trio.current_time()
    with trio.move_on_after(0.1):
        await database.for_tenant("acme", slow)
    assert trio.current_time() - started < 1
    assert await database.as_owner(left) == (0, 0)
    assert database.statistics().idle == database.statistics().connections


async def test_200_cancelled_reads_leave_the_pool_whole(database: Database) -> None:
    async def slow(connection: Connection) -> None:
        await connection.execute("select pg_sleep(10)")

    async def one() -> None:
        with trio.move_on_after(0.1):
            await database.read_for_tenant("acme", slow)

    async def fine(connection: Connection) -> int:
        return int(await connection.fetchval("select 1"))

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(one)
    assert trio.current_time() - started < 2
    with trio.fail_after(5):
        for _ in range(50):
            assert await database.for_tenant("acme", fine) == 1


async def test_a_connection_that_the_server_ends_is_replaced(database: Database) -> None:
    async def whose(connection: Connection) -> int:
        return int(await connection.fetchval("select pg_backend_pid()"))

    async def end_all(connection: Connection) -> None:
        await connection.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where pid <> pg_backend_pid() and datname = current_database()"
        )

    before = await database.for_tenant("acme", whose)
    await database.as_owner(end_all)
    assert await database.for_tenant("acme", whose) != before

    async def end_me(connection: Connection) -> None:
        await connection.fetchval("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(StoreUnavailable):
        await database.as_owner(end_me)
