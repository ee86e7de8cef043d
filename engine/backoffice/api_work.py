"""``.../tasks`` and ``.../appointments``: what calls have left for people to do."""

import re
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field
from quart import Blueprint

from engine.backoffice.access import asking, requires
from engine.backoffice.endpoint import Body, Moment, NamePaging, Page, Paging, asks, gives, name_cursor, page, takes
from engine.backoffice.office import Office
from engine.backoffice.problems import Problem
from engine.store.postgres_work import Slot, SlotFilter, Task

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
CallerText = Annotated[str, Field(pattern=r"^[^\x00]{1,64}$")]


def _is_day(value: object) -> object:
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("write a day as 2026-03-14")
    return value


Day = Annotated[date, BeforeValidator(_is_day)]


class TaskItem(Body):
    """Something to do: a message that the caller asked to have written down, or what a call could not do itself."""

    key: str
    kind: Literal["message", "task"]
    call_sid: str
    caller: str
    text: str
    noted_at: str
    details: dict[str, Any]
    done: bool
    done_at: Moment | None
    done_by: str | None

    @classmethod
    def of(cls, task: Task) -> Self:
        """As it was kept."""
        item = task.item
        return cls(
            key=item.key,
            kind=item.kind,
            call_sid=item.call_sid,
            caller=item.caller,
            text=item.text,
            noted_at=item.noted_at,
            details=item.details,
            done=task.done_at is not None,
            done_at=task.done_at,
            done_by=task.done_by,
        )


class Tasks(Page[TaskItem]):
    """Things to do."""


class TasksAsked(Paging):
    """Which of them; without ``done`` all."""

    done: bool | None = None
    kind: Literal["message", "task"] | None = None
    caller: CallerText | None = None


class TaskChange(Body):
    """Whether it has been done."""

    done: bool


class Appointment(Body):
    """A booked slot; ``starts`` is in the business's own time, without an offset."""

    reference: str
    starts: str
    name: str
    phone: str
    reason: str
    booked_at: Moment
    cancelled_at: Moment | None
    cancelled_by: str | None

    @classmethod
    def of(cls, slot: Slot) -> Self:
        """As it was kept."""
        return cls(
            reference=slot.reference,
            starts=slot.starts.isoformat(),
            name=slot.name,
            phone=slot.phone,
            reason=slot.reason,
            booked_at=slot.booked_at,
            cancelled_at=slot.cancelled_at,
            cancelled_by=slot.cancelled_by,
        )


class Appointments(Page[Appointment]):
    """Appointments, soonest first."""


class AppointmentsAsked(NamePaging):
    """Which of them: by day (``until`` excluded), by number; without ``cancelled`` those that stand and those not."""

    since: Day | None = None
    until: Day | None = None
    cancelled: bool | None = None
    phone: CallerText | None = None

    def after_slot(self) -> tuple[datetime, str] | None:
        """The slot after which to go on.

        Raises:
            Problem: 422, the cursor is none of ours.
        """
        if not self.after:
            return None
        starts, _, reference = self.after.partition(" ")
        try:
            return datetime.fromisoformat(starts).replace(tzinfo=None), reference
        except ValueError:
            raise Problem(422, "the cursor is not one of ours", kind="invalid") from None


def blueprint(office: Office) -> Blueprint:
    """See the module."""
    pages = Blueprint("work", __name__, url_prefix="/v1/tenants/<slug:tenant_id>")
    work = office.work

    @pages.get("/tasks")
    @gives(Tasks)
    @asks(TasksAsked)
    @requires("read")
    async def tasks(tenant_id: str, query: TasksAsked) -> Tasks:
        """Messages written down and things to do, newest first."""
        found = await work.tasks(
            tenant_id, before=query.before, limit=query.limit, done=query.done, kind=query.kind, caller=query.caller
        )
        return page(Tasks, [TaskItem.of(task) for task in found], [task.kept_order for task in found], query)

    @pages.get("/tasks/<name:key>")
    @gives(TaskItem)
    @requires("read")
    async def task(tenant_id: str, key: str) -> TaskItem:
        """One of them."""
        return _found(await work.task(tenant_id, key))

    @pages.patch("/tasks/<name:key>")
    @gives(TaskItem)
    @takes(TaskChange)
    @requires("write")
    async def settle(tenant_id: str, key: str, body: TaskChange) -> TaskItem:
        """It has been done, or has not after all."""
        return _found(await work.settle(tenant_id, key, done=body.done, who=asking().name))

    @pages.get("/appointments")
    @gives(Appointments)
    @asks(AppointmentsAsked)
    @requires("read")
    async def appointments(tenant_id: str, query: AppointmentsAsked) -> Appointments:
        """Appointments, soonest first."""
        which = SlotFilter(_begin(query.since), _begin(query.until), query.cancelled, query.phone)
        found = await work.appointments(tenant_id, which, after=query.after_slot(), limit=query.limit)
        last = name_cursor(f"{found[-1].starts.isoformat()} {found[-1].reference}") if found else None
        items = [Appointment.of(slot) for slot in found]
        return Appointments(items=items, next_cursor=last if len(found) == query.limit else None)

    @pages.get("/appointments/<name:reference>")
    @gives(Appointment)
    @requires("read")
    async def appointment(tenant_id: str, reference: str) -> Appointment:
        """One of them."""
        return _slot(await work.appointment(tenant_id, reference))

    @pages.post("/appointments/<name:reference>/cancel")
    @gives(Appointment)
    @requires("write")
    async def cancel(tenant_id: str, reference: str) -> Appointment:
        """Free the slot; cancelled once more, it stays as it was."""
        return _slot(await work.cancel(tenant_id, reference, who=asking().name))

    return pages


def _begin(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time())


def _found(task: Task | None) -> TaskItem:
    if task is None:
        raise Problem(404, "no such task")
    return TaskItem.of(task)


def _slot(slot: Slot | None) -> Appointment:
    if slot is None:
        raise Problem(404, "no such appointment")
    return Appointment.of(slot)
