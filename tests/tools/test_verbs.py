"""What ships with the product can do, through the example tenant, as a model would ask for it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
import trio

from engine.errors import ConfigurationError
from engine.messages import Effect
from engine.store.diary import Booked, MemoryDiary
from engine.tenants import examples
from engine.tenants.schema import violations
from engine.tenants.tenant import Tenant, ToolSpec
from engine.tools.catalog import Catalog, standard_catalog
from engine.tools.context import ToolContext
from engine.tools.dates import read_day, read_time, spoken_day
from tests.tools.room import NOW, Control, World

HARBOR = examples.load("harbor-dental")
TODAY = date(2026, 11, 3)  # a Tuesday; it is nine o'clock


def a_context(**changes: Any) -> ToolContext:
    world = World()
    context = replace(world.context(HARBOR), effect_id="e" * 32)
    return replace(context, **changes)


async def use(context: ToolContext, tool: str, /, **arguments: Any) -> Mapping[str, Any]:
    """As the executor would: arguments are checked against both schemas first."""
    offered = standard_catalog().for_tenant(HARBOR)[tool]
    for schema in (offered.spec.parameters, offered.tool.spec.parameters):
        assert list(violations(schema, arguments)) == []
    return await offered.tool.handler(context, arguments)


# --- opening hours -----------------------------------------------------------------------------------------------


async def test_the_whole_week_is_said_with_whether_it_is_open_now() -> None:
    said = await use(a_context(), "opening_hours")
    assert said["open_now"] is True
    assert "Monday and Tuesday from 8 a.m. to 5 p.m." in said["message"]
    assert "Tuesday, November 3" in said["message"]


@pytest.mark.parametrize(
    ("hour_utc", "is_open"),
    [(12, False), (13, True), (21, True), (22, False)],  # eight to five in New York, in winter
)
async def test_open_now_is_judged_by_the_business_own_clock(hour_utc: int, is_open: bool) -> None:
    at = datetime(2026, 11, 3, hour_utc, 30, tzinfo=UTC)
    assert (await use(a_context(now=lambda: at), "opening_hours"))["open_now"] is is_open


async def test_one_day_is_said_alone() -> None:
    said = await use(a_context(), "opening_hours", day="friday")
    assert said["message"] == "Friday, November 6: from 8 a.m. to 2 p.m."
    assert (said["date"], said["open"]) == ("2026-11-06", True)
    assert (await use(a_context(), "opening_hours", day="2026-11-08"))["open"] is False


async def test_hours_that_are_not_known_are_not_invented() -> None:
    bare = a_context(tenant=HARBOR.model_copy(update={"hours": {}}))
    assert (await use(bare, "opening_hours"))["status"] == "refused"


# --- messages ----------------------------------------------------------------------------------------------------


async def test_a_message_is_kept_for_the_team_under_the_callers_number() -> None:
    context = a_context()
    said = await use(context, "take_message", name="Ann", message="Please call about my crown.", urgent=True)
    assert said["status"] == "ok"
    (kept,) = await context.follow_ups.follow_ups("harbor-dental")
    assert (kept.kind, kept.caller, kept.text) == ("message", "+15550100199", "Please call about my crown.")
    assert kept.details == {"name": "Ann", "urgent": True}
    assert kept.noted_at == NOW.isoformat()


async def test_a_message_without_any_number_asks_for_one() -> None:
    context = a_context(caller="")
    assert (await use(context, "take_message", name="Ann", message="Call me."))["status"] == "refused"
    assert await context.follow_ups.follow_ups("harbor-dental") == []
    assert (await use(context, "take_message", name="Ann", message="Call me.", phone="555 010 0142"))["status"] == "ok"


async def test_a_message_written_down_twice_under_one_effect_is_one() -> None:
    context = a_context()
    for _ in range(2):
        assert (await use(context, "take_message", name="Ann", message="Call me."))["status"] == "ok"
    assert len(await context.follow_ups.follow_ups("harbor-dental")) == 1


# --- appointments ------------------------------------------------------------------------------------------------


async def book(context: ToolContext, day: str = "tomorrow", at: str = "10:00", **more: Any) -> Mapping[str, Any]:
    return await use(context, "book_appointment", name="Ann Lee", day=day, time=at, **more)


async def test_a_booked_slot_is_gone_for_the_next_caller_who_hears_what_is_left() -> None:
    context = a_context()
    said = await book(context)
    assert said["message"] == "Booked for Ann Lee: Wednesday, November 4 at 10 a.m."
    assert said["starts"] == "2026-11-04T10:00:00"
    other = await book(replace(context, effect_id="f" * 32))
    assert (other["status"], other["retryable"]) == ("refused", True)
    assert "taken" in other["message"]
    assert "10:00" not in other["free"]
    assert "10:30" in other["free"]
    free = await use(context, "free_slots", day="2026-11-04")
    assert free["free"] == other["free"]


async def test_the_same_effect_books_the_same_slot_again_without_harm() -> None:
    context = a_context()
    assert await book(context) == await book(context)
    assert await context.diary.taken("harbor-dental", date(2026, 11, 4)) == {time(10)}


async def test_of_many_callers_who_want_one_slot_one_gets_it() -> None:
    context, statuses = a_context(), list[str]()

    async def try_to(number: int) -> None:
        said = await book(replace(context, effect_id=f"{number:032}", caller=f"+155501001{number:02}"))
        statuses.append(said["status"])

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(try_to, number)
    assert sorted(statuses) == ["ok"] + ["refused"] * 29


@pytest.mark.parametrize(
    ("day", "at", "said"),
    [
        ("someday", "10:00", "day cannot be understood"),
        ("tomorrow", "10", "time cannot be understood"),
        ("2026-11-02", "10:00", "in the past"),
        ("2028-11-02", "10:00", "too far ahead"),
        ("today", "8:30", "has passed"),
        ("saturday", "10:00", "the hours are: closed"),
        ("friday", "14:00", "from 8 a.m. to 2 p.m."),
        ("tomorrow", "10:10", "every half hour"),
    ],
)
async def test_a_slot_that_does_not_exist_is_refused_with_the_reason(day: str, at: str, said: str) -> None:
    context = a_context()
    refused = await book(context, day, at)
    assert (refused["status"], refused["retryable"]) == ("refused", True)
    assert said in refused["message"]
    assert await context.diary.find("harbor-dental", "+15550100199") == []


async def test_slots_of_today_that_have_passed_are_not_offered() -> None:
    free = (await use(a_context(), "free_slots", day="today"))["free"]
    assert free[0] == "09:30"
    assert free[-1] == "16:30"


async def test_a_closed_day_leads_to_the_next_one_that_has_room() -> None:
    said = await use(a_context(), "free_slots", day="saturday")
    assert said["date"] == "2026-11-09"
    assert said["message"].startswith("Nothing is free on Saturday, November 7. The next free day is Monday")


async def test_a_business_that_is_never_open_has_no_slots() -> None:
    closed = a_context(tenant=HARBOR.model_copy(update={"hours": {}}))
    said = await use(closed, "free_slots", day="today")
    assert (said["status"], said["free"]) == ("ok", [])


async def test_an_appointment_is_found_by_name_and_number_together_only() -> None:
    context = a_context()
    await book(context, phone="(555) 010-0142")
    for name, phone, found in (
        ("ann  lee", "+15550100142", 1),
        ("Ann Lee", "555-010-0142", 1),
        ("Ann Lee", "+15550100143", 0),
        ("Bob", "+15550100142", 0),
    ):
        said = await use(context, "find_appointment", name=name, phone=phone)
        assert len(said["appointments"]) == found
    assert (await use(context, "find_appointment", name="Ann Lee"))["appointments"] == []
    withheld = replace(context, caller="")
    assert (await use(withheld, "find_appointment", name="Ann Lee"))["status"] == "refused"


async def test_appointments_that_are_over_and_those_of_other_tenants_are_not_found() -> None:
    context = a_context()
    await book(context, at="10:00")
    later = replace(context, now=lambda: datetime(2026, 11, 5, 14, 0, tzinfo=UTC))
    assert (await use(later, "find_appointment", name="Ann Lee"))["appointments"] == []
    foreign = replace(context, tenant=HARBOR.model_copy(update={"id": "other"}))
    assert (await use(foreign, "find_appointment", name="Ann Lee"))["appointments"] == []
    assert isinstance(context.diary, MemoryDiary)
    assert isinstance(await context.diary.book((await context.diary.find("harbor-dental", "+15550100199"))[0]), Booked)


# --- the call itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["the practice manager", "the dentist on call"])
async def test_a_caller_is_put_through_to_the_person_named(to: str) -> None:
    control = Control()
    said = await use(a_context(control=control), "transfer_call", to=to)
    assert said["status"] == "ok"
    assert [person.name for person in control.transfers] == [to]


@pytest.mark.parametrize(
    ("people", "to", "name"),
    [
        (("the boss",), "", "the boss"),
        (("the boss",), " BOSS ", "the boss"),
        (("the boss", "the boss's wife"), "boss", "the boss"),
        (("Ann Lee", "Bob Lee"), "ann", "Ann Lee"),
        (("Ann Lee", "Bob Lee"), "lee", None),
        (("Ann Lee", "Bob Lee"), "", None),
        (("Ann Lee", "Bob Lee"), "Carl", None),
        ((), "Carl", None),
    ],
)
async def test_nobody_is_put_through_to_somebody_who_was_not_meant(
    people: tuple[str, ...], to: str, name: str | None
) -> None:
    document = {
        "id": "acme",
        "name": "A",
        "greeting": "Hi.",
        "people": [{"name": n, "number": "+15550100111"} for n in people],
    }
    control = Control()
    context = a_context(control=control, tenant=Tenant.model_validate(document))
    handler = standard_catalog().for_tenant(HARBOR)["transfer_call"].tool.handler
    said = await handler(context, {"to": to})
    assert [person.name for person in control.transfers] == ([name] if name else [])
    assert said["status"] == ("ok" if name else "refused")


async def test_the_call_is_asked_to_end_with_the_reason() -> None:
    control = Control()
    assert (await use(a_context(control=control), "end_call", reason="booked"))["status"] == "ok"
    assert (await use(a_context(control=control), "end_call"))["status"] == "ok"
    assert control.ends == ["booked", ""]


# --- the catalog -------------------------------------------------------------------------------------------------


def test_the_example_offers_what_its_document_says() -> None:
    offered = standard_catalog().for_tenant(HARBOR)
    assert list(offered) == [spec.name for spec in HARBOR.tools]
    assert offered["book_appointment"].spec.filler == "I'm putting that into the calendar for you."
    assert {name for name, tool in offered.items() if tool.tool.once_per_call} == {"book_appointment", "take_message"}


def test_a_tenant_that_offers_nothing_has_nothing() -> None:
    assert standard_catalog().for_tenant(HARBOR.model_copy(update={"tools": ()})) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "read_minds"}, "nothing can do that; there are book_appointment"),
        ({"effect": Effect.READS}, "effect is reads; it writes, write that"),
        ({"parameters": {"type": "object", "properties": {}}}, "required: name, message is needed; add it"),
        (
            {"parameters": {"type": "object", "properties": {"mood": {"type": "string"}}}},
            "mood is not used by this tool",
        ),
        ({"parameters": {"type": "object", "format": "x"}}, "cannot enforce format"),
    ],
)
def test_a_tool_described_so_that_it_cannot_work_is_refused_at_set_up(change: dict[str, Any], said: str) -> None:
    spec = next(spec for spec in HARBOR.tools if spec.name == "take_message").model_copy(update=change)
    with pytest.raises(ConfigurationError) as refused:
        standard_catalog().for_tenant(HARBOR.model_copy(update={"tools": (spec,)}))
    assert said in str(refused.value)
    assert str(refused.value).startswith("tenant harbor-dental: tools: ")


def test_two_tools_of_one_name_are_refused() -> None:
    tool = standard_catalog().for_tenant(HARBOR)["end_call"].tool
    with pytest.raises(ConfigurationError, match="two tools are named end_call"):
        Catalog((tool, tool))
    assert isinstance(tool.spec, ToolSpec)


# --- days and times ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2026-11-20", date(2026, 11, 20)), ("today", TODAY), (" Tomorrow ", date(2026, 11, 4)),
        ("wednesday", date(2026, 11, 4)), ("next Monday", date(2026, 11, 9)), ("Tuesday", date(2026, 11, 10)),
        ("on friday", date(2026, 11, 6)), ("November 20th", date(2026, 11, 20)), ("Nov 20, 2027", date(2027, 11, 20)),
        ("march 3", date(2027, 3, 3)), ("february 29", None), ("november 31", None), ("no 3", None),
        ("2026-13-01", None), ("", None), ("soon", None),
    ],
)  # fmt: skip
def test_days_are_read_as_people_say_them(said: str, day: date | None) -> None:
    assert read_day(said, TODAY) == day


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("14:30", time(14, 30)), ("2:30 pm", time(14, 30)), ("2 PM", time(14)), ("9 a.m.", time(9)), ("12 am", time(0)),
        ("12pm", time(12)), ("09:05", time(9, 5)), ("9", None), ("25:00", None), ("13 pm", None), ("noonish", None),
    ],
)  # fmt: skip
def test_times_are_read_as_people_say_them(said: str, at: time | None) -> None:
    assert read_time(said) == at


def test_a_leap_day_said_without_a_year_never_breaks_it() -> None:
    assert read_day("february 29", date(2028, 3, 1)) is None
    assert read_day("february 29", date(2028, 1, 1)) == date(2028, 2, 29)
    assert spoken_day(date(2028, 2, 29)) == "Tuesday, February 29"
