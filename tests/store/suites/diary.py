"""What every ``Diary`` promises. The fixture ``diary`` is one."""

from datetime import date, datetime, time

import trio

from engine.store.diary import Appointment, Booked, Booking, Diary, SlotTaken

AT = datetime(2026, 11, 3, 9, 30)  # noqa: DTZ001 - the business's own time


def wanted(reference: str, tenant_id: str = "acme", starts: datetime = AT, phone: str = "+15550100199") -> Appointment:
    return Appointment(tenant_id, reference, starts, "Ann", phone)


async def test_of_many_who_want_one_slot_one_gets_it(diary: Diary) -> None:
    answers = list[Booking]()

    async def book(number: int) -> None:
        answers.append(await diary.book(wanted(f"r{number}")))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(book, number)
    assert sum(isinstance(answer, Booked) for answer in answers) == 1
    assert answers.count(SlotTaken(AT)) == 49


async def test_the_same_reference_is_the_same_booking(diary: Diary) -> None:
    first = await diary.book(wanted("r1"))
    assert await diary.book(wanted("r1")) == first
    assert await diary.taken("acme", AT.date()) == {time(9, 30)}


async def test_tenants_have_diaries_of_their_own(diary: Diary) -> None:
    await diary.book(wanted("r1"))
    assert isinstance(await diary.book(wanted("r1", tenant_id="other")), Booked)
    assert await diary.taken("third", AT.date()) == frozenset()
    assert [found.tenant_id for found in await diary.find("other", "+15550100199")] == ["other"]


async def test_appointments_are_found_by_number_soonest_first(diary: Diary) -> None:
    for reference, day in (("late", 9), ("soon", 4)):
        await diary.book(wanted(reference, starts=AT.replace(day=day)))
    await diary.book(wanted("foreign", starts=AT.replace(day=5), phone="+15550100198"))
    assert [found.reference for found in await diary.find("acme", "+15550100199")] == ["soon", "late"]
    assert await diary.taken("acme", date(2026, 11, 4)) == {time(9, 30)}


async def test_a_day_ends_at_midnight(diary: Diary) -> None:
    for number, starts in enumerate(
        (AT.replace(hour=0, minute=0), AT.replace(hour=23, minute=59), AT.replace(day=4, hour=0, minute=0))
    ):
        await diary.book(wanted(f"r{number}", starts=starts))
    assert await diary.taken("acme", AT.date()) == {time(0, 0), time(23, 59)}


async def test_the_same_reference_for_another_slot_is_still_the_first_booking(diary: Diary) -> None:
    first = await diary.book(wanted("r1"))
    assert await diary.book(wanted("r1", starts=AT.replace(hour=11))) == first
    assert await diary.taken("acme", AT.date()) == {time(9, 30)}
