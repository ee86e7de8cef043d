"""What every ``Tenants`` promises. The fixture ``tenants`` is one."""

import pytest
import trio

from engine.errors import MisuseError
from engine.store.tenants import NumberTaken, Put, TenantDocument, TenantPut, Tenants

ONE, TWO = "+15550100101", "+15550100102"


def a_tenant(
    tenant_id: str = "acme", numbers: tuple[str, ...] = (ONE,), name: str = "Acm\u00e9 \x00"
) -> TenantDocument:
    return TenantDocument(
        tenant_id, {"id": tenant_id, "name": name, "numbers": list(numbers), "z": {"b": 1, "a": 1.5}}, numbers
    )


async def test_a_document_comes_back_as_it_was_put(tenants: Tenants) -> None:
    assert await tenants.put(a_tenant(numbers=(TWO, ONE))) == TenantPut(1, changed=True)
    got = await tenants.get("acme")
    assert got == TenantDocument("acme", a_tenant(numbers=(TWO, ONE)).document, (ONE, TWO), 1)
    assert await tenants.get("other") is None


async def test_versions_count_changes_only(tenants: Tenants) -> None:
    assert await tenants.put(a_tenant()) == TenantPut(1, changed=True)
    assert await tenants.put(a_tenant()) == TenantPut(1, changed=False)
    assert await tenants.put(a_tenant(name="New")) == TenantPut(2, changed=True)


async def test_a_number_belongs_to_one_tenant(tenants: Tenants) -> None:
    await tenants.put(a_tenant())
    refusal = await tenants.put(a_tenant("other", (TWO, ONE)))
    assert refusal == NumberTaken(ONE, "acme", "other")
    assert all(name in str(refusal) for name in ("acme", "other", ONE))
    assert await tenants.get("other") is None
    await tenants.put(a_tenant(numbers=(TWO,)))
    assert await tenants.put(a_tenant("other", (ONE,))) == TenantPut(1, changed=True)


async def test_of_many_who_want_one_number_one_gets_it(tenants: Tenants) -> None:
    answers: list[Put] = []

    async def put(number: int) -> None:
        answers.append(await tenants.put(a_tenant(f"t{number}")))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(put, number)
    assert sum(isinstance(answer, TenantPut) for answer in answers) == 1
    assert len(await tenants.list()) == 1


async def test_all_are_listed_by_id(tenants: Tenants) -> None:
    for tenant_id in ("zoo", "acme", "mid"):
        await tenants.put(a_tenant(tenant_id, ()))
    assert [tenant.tenant_id for tenant in await tenants.list()] == ["acme", "mid", "zoo"]


async def test_a_deleted_tenant_gives_its_numbers_back(tenants: Tenants) -> None:
    await tenants.put(a_tenant())
    assert await tenants.delete("acme") is True
    assert await tenants.delete("acme") is False
    assert await tenants.put(a_tenant("other")) == TenantPut(1, changed=True)


async def test_changes_are_told_within_a_second(tenants: Tenants) -> None:
    told_send, told = trio.open_memory_channel[str | None](50)
    stop = await tenants.watch(told_send.send_nowait)
    with trio.fail_after(1):
        assert await told.receive() is None
    await tenants.put(a_tenant())
    with trio.fail_after(1):
        assert await told.receive() == "acme"
    await tenants.put(a_tenant())  # no change
    await tenants.put(a_tenant("other", (ONE,)))  # refused
    await tenants.delete("acme")
    with trio.fail_after(1):
        assert await told.receive() == "acme"
    await stop()
    await tenants.put(a_tenant("third", ()))
    with pytest.raises(trio.WouldBlock):
        told.receive_nowait()


async def test_an_id_that_is_no_name_is_refused(tenants: Tenants) -> None:
    with pytest.raises(MisuseError):
        await tenants.put(a_tenant("a'; drop table tenant; --"))
    with pytest.raises(MisuseError, match="not JSON-ready"):
        await tenants.put(TenantDocument("acme", {"x": object()}))
