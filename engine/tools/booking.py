"""``free_slots``, ``find_appointment`` (reads) and ``book_appointment`` (writes): appointments in the tenant's diary.

Slots begin every ``SLOT_MINUTES`` within opening hours and last as long; the diary decides who was first.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from engine.messages import Effect
from engine.store.diary import Appointment, Booked, SlotTaken
from engine.tenants.hours import Week, periods_on, read_week, spoken_periods, spoken_time
from engine.tenants.numbers import normalise_number
from engine.tenants.tenant import ToolSpec
from engine.tools import answers
from engine.tools.context import Tool, ToolContext
from engine.tools.dates import HOW_TO_SAY_A_DAY, HOW_TO_SAY_A_TIME, read_day, read_time, spoken_day

SLOT_MINUTES = 30
FURTHEST_DAYS = 365  # beyond this nobody keeps a diary, and a year misheard is likelier than a year ahead
LOOK_AHEAD_DAYS = 14
SLOTS_SAID = 6  # a voice cannot usefully read out more

_NO_SUCH_DAY = f"That day cannot be understood. {HOW_TO_SAY_A_DAY}"
_DAY_GONE = "That day is in the past or too far ahead."


async def _free_slots(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    now = context.local_now()
    day = read_day(arguments["day"], now.date())
    if day is None or not _bookable(day, now):
        return answers.refused(_NO_SUCH_DAY if day is None else _DAY_GONE, retryable=True)
    week = read_week(context.tenant.hours)
    if free := await _free_on(context, week, day, now):
        return answers.ok(f"Free on {spoken_day(day)}: {_spoken(free)}.", **_slots(day, free))
    for ahead in range(1, LOOK_AHEAD_DAYS + 1):
        later = day + timedelta(days=ahead)
        if free := await _free_on(context, week, later, now):
            said = f"Nothing is free on {spoken_day(day)}. The next free day is {spoken_day(later)}: {_spoken(free)}."
            return answers.ok(said, **_slots(later, free))
    return answers.ok(f"Nothing is free from {spoken_day(day)} on for {LOOK_AHEAD_DAYS} days.", date=None, free=[])


async def _book_appointment(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    now = context.local_now()
    day, at = read_day(arguments["day"], now.date()), read_time(arguments["time"])
    if day is None or at is None:
        return answers.refused(
            _NO_SUCH_DAY if day is None else f"That time cannot be understood. {HOW_TO_SAY_A_TIME}", retryable=True
        )
    starts = datetime.combine(day, at)
    if not _bookable(day, now) or starts <= now:
        return answers.refused(_DAY_GONE if day != now.date() else "That time has passed.", retryable=True)
    week = read_week(context.tenant.hours)
    if at not in _grid(week, day):
        hours = f"On {spoken_day(day)} the hours are: {spoken_periods(periods_on(week, day))}."
        return answers.refused(f"No appointment begins then. {hours} They begin every half hour.", retryable=True)
    phone = arguments.get("phone") or context.caller
    wanted = Appointment(
        context.tenant.id, context.effect_id, starts, arguments["name"], _one_form(phone), arguments.get("reason", "")
    )
    match await context.diary.book(wanted):
        case Booked():
            said = f"Booked for {wanted.name}: {spoken_day(day)} at {spoken_time(at)}."
            return answers.ok(said, starts=starts.isoformat(), reference=wanted.reference[:8])
        case SlotTaken():
            free = await _free_on(context, week, day, now)
            others = f"Still free on that day: {_spoken(free)}." if free else "That day is full."
            return answers.refused(f"That time is taken. {others}", retryable=True, **_slots(day, free))


async def _find_appointment(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    phone = arguments.get("phone") or context.caller
    if not phone:
        return answers.refused("Ask for the telephone number it was made under.", retryable=True)
    name, now = _plain(arguments["name"]), context.local_now()
    # Both the number and the name must fit: a name alone would tell a stranger about somebody's visits.
    found = [
        appointment
        for appointment in await context.diary.find(context.tenant.id, _one_form(phone))
        if _plain(appointment.name) == name and appointment.starts >= now
    ]
    if not found:
        return answers.ok("No coming appointment is found under that name and number.", appointments=[])
    said = "; ".join(f"{spoken_day(each.starts.date())} at {spoken_time(each.starts.time())}" for each in found)
    return answers.ok(f"Found: {said}.", appointments=[each.starts.isoformat() for each in found])


def _bookable(day: date, now: datetime) -> bool:
    return now.date() <= day <= now.date() + timedelta(days=FURTHEST_DAYS)


def _grid(week: Week, day: date) -> list[time]:
    """Every slot's start on that day, taken or not; a slot ends before closing."""
    slots: list[time] = []
    for opens, closes in periods_on(week, day):
        at, last = datetime.combine(day, opens), datetime.combine(day, closes) - timedelta(minutes=SLOT_MINUTES)
        while at <= last:
            slots.append(at.time())
            at += timedelta(minutes=SLOT_MINUTES)
    return slots


async def _free_on(context: ToolContext, week: Week, day: date, now: datetime) -> list[time]:
    slots = _grid(week, day)
    if not slots:
        return []
    taken = await context.diary.taken(context.tenant.id, day)
    return [at for at in slots if at not in taken and datetime.combine(day, at) > now]


def _spoken(free: list[time]) -> str:
    """A few, spread over the day, so that neither morning nor afternoon is left out."""
    step = max(1, -(-len(free) // SLOTS_SAID))
    return ", ".join(spoken_time(at) for at in free[::step])


def _slots(day: date, free: list[time]) -> dict[str, Any]:
    return {"date": day.isoformat(), "free": [at.strftime("%H:%M") for at in free]}


def _one_form(phone: str) -> str:
    return next(iter(normalise_number(phone)), phone)


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


_TEXT = {"type": "string", "minLength": 1}

FREE_SLOTS = Tool(
    ToolSpec(
        name="free_slots",
        description="Lists free appointment times on a day.",
        parameters={"type": "object", "properties": {"day": _TEXT}, "required": ["day"]},
        effect=Effect.READS,
    ),
    _free_slots,
)

FIND_APPOINTMENT = Tool(
    ToolSpec(
        name="find_appointment",
        description="Finds a caller's appointments by name and telephone number.",
        parameters={"type": "object", "properties": {"name": _TEXT, "phone": {"type": "string"}}, "required": ["name"]},
        effect=Effect.READS,
    ),
    _find_appointment,
)

BOOK_APPOINTMENT = Tool(
    ToolSpec(
        name="book_appointment",
        description="Books an appointment.",
        parameters={
            "type": "object",
            "properties": {
                "name": _TEXT,
                "day": _TEXT,
                "time": _TEXT,
                "reason": {"type": "string"},
                "phone": {"type": "string"},
            },
            "required": ["name", "day", "time"],
        },
        effect=Effect.WRITES,
    ),
    _book_appointment,
)
