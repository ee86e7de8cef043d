"""``opening_hours``: when is the business open? Read from the tenant's document."""

from collections.abc import Mapping
from typing import Any

from engine.messages import Effect
from engine.tenants.hours import periods_on, read_week, spoken_periods, spoken_week
from engine.tenants.tenant import ToolSpec
from engine.tools import answers
from engine.tools.context import Tool, ToolContext
from engine.tools.dates import HOW_TO_SAY_A_DAY, read_day, spoken_day


async def _opening_hours(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    if not context.tenant.hours:
        return answers.refused("The opening hours are not known here. Offer to take a message.")
    week = read_week(context.tenant.hours)
    now = context.local_now()
    if "day" not in arguments:
        is_open = any(opens <= now.time() < closes for opens, closes in periods_on(week, now.date()))
        state = f"It is {spoken_day(now.date())}, and they are {'open' if is_open else 'closed'} right now."
        return answers.ok(f"{spoken_week(week)}. {state}", open_now=is_open)
    day = read_day(arguments["day"], now.date())
    if day is None:
        return answers.refused(f"That day cannot be understood. {HOW_TO_SAY_A_DAY}", retryable=True)
    periods = periods_on(week, day)
    return answers.ok(f"{spoken_day(day)}: {spoken_periods(periods)}.", date=day.isoformat(), open=bool(periods))


OPENING_HOURS = Tool(
    ToolSpec(
        name="opening_hours",
        description="Says when the business is open, on a given day or in the whole week.",
        parameters={"type": "object", "properties": {"day": {"type": "string"}}},
        effect=Effect.READS,
        timeout_s=3,
    ),
    _opening_hours,
)
