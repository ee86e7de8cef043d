import pytest

from engine.errors import ConfigurationError
from engine.tenants.directory import MemoryDirectory
from engine.tenants.numbers import normalise_number
from engine.tenants.tenant import Tenant


def a_tenant(tenant_id: str = "acme", *numbers: str) -> Tenant:
    return Tenant(id=tenant_id, name=tenant_id.title(), numbers=numbers, greeting="Hello.")


@pytest.mark.parametrize(
    "written",
    [
        "+15550100100",
        "15550100100",
        "5550100100",
        "+1 (555) 010-0100",
        "1.555.010.0100",
        "0015550100100",
        " +1 555\u2011010\u20110100 ",
    ],
)
def test_a_number_is_known_however_a_carrier_writes_it(written: str) -> None:
    tenant = a_tenant("acme", "+15550100100")
    assert MemoryDirectory([tenant]).tenant_for_number(written) is tenant


@pytest.mark.parametrize(
    "written", ["", "+", "anonymous", "client:phone", "sip:15550100100@example.com", "+0123456789", "12", "\u0661" * 11]
)
def test_what_is_no_telephone_number_belongs_to_nobody(written: str) -> None:
    assert normalise_number(written) == ()
    assert MemoryDirectory([a_tenant("acme", "+15550100100")]).tenant_for_number(written) is None


def test_ten_digits_are_north_american_only_where_nobody_else_has_them() -> None:
    abroad, here = a_tenant("abroad", "+4930123456"), a_tenant("here", "+14930123456")
    assert MemoryDirectory([abroad]).tenant_for_number("4930123456") is abroad
    assert MemoryDirectory([abroad, here]).tenant_for_number("4930123456") is here


def test_numbers_and_ids_lead_to_their_own_tenant_only() -> None:
    one, two = a_tenant("one", "+15550100101", "+15550100102"), a_tenant("two", "+15550100103")
    directory = MemoryDirectory([one, two])
    assert directory.tenant_for_number("+15550100102") is one
    assert directory.tenant_for_number("+15550100103") is two
    assert directory.tenant_for_number("+15550100104") is None
    assert directory.tenant("two") is two
    assert directory.tenant("three") is None
    assert (directory.statistics().tenants, directory.statistics().numbers) == (2, 3)


def test_two_tenants_with_one_number_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"\+15550100100 belongs to tenants 'one' and 'two'"):
        MemoryDirectory([a_tenant("one", "+15550100100"), a_tenant("two", "+15550100100")])


def test_two_tenants_with_one_id_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="tenant id 'one' is used by"):
        MemoryDirectory([a_tenant("one", "+15550100100"), a_tenant("one", "+15550100101")])
