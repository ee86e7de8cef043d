import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import MisuseError
from engine.tenants.limits import Admitted, Limits, TooMany
from engine.tenants.tenant import Quotas, Tenant


def a_tenant(tenant_id: str, concurrent_calls: int) -> Tenant:
    return Tenant(id=tenant_id, name="A", greeting="Hi.", quotas=Quotas(concurrent_calls=concurrent_calls))


def test_a_tenant_at_its_limit_is_refused_and_others_are_not() -> None:
    limits, small, big = Limits(), a_tenant("small", 1), a_tenant("big", 2)
    assert isinstance(limits.admit(small, 10.0), Admitted)
    assert limits.admit(small, 25.0) == TooMany("small", 1, 15.0)
    assert isinstance(limits.admit(big, 25.0), Admitted)


def test_a_place_given_back_can_be_taken_again() -> None:
    limits, tenant = Limits(), a_tenant("acme", 1)
    first = limits.admit(tenant, 0.0)
    assert isinstance(first, Admitted)
    limits.release(first)
    assert isinstance(limits.admit(tenant, 1.0), Admitted)


def test_a_place_given_back_twice_is_misuse() -> None:
    limits, tenant = Limits(), a_tenant("acme", 2)
    place, kept = limits.admit(tenant, 0.0), limits.admit(tenant, 0.0)
    assert isinstance(place, Admitted)
    assert isinstance(kept, Admitted)
    limits.release(place)
    with pytest.raises(MisuseError):
        limits.release(place)
    with pytest.raises(MisuseError):
        limits.release(Admitted("stranger", 1, 0.0))
    assert limits.statistics()["acme"].now == 1


def test_a_changed_quota_counts_from_the_next_call_on() -> None:
    limits = Limits()
    assert isinstance(limits.admit(a_tenant("acme", 2), 0.0), Admitted)
    assert isinstance(limits.admit(a_tenant("acme", 1), 0.0), TooMany)
    assert isinstance(limits.admit(a_tenant("acme", 2), 0.0), Admitted)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_no_tenant_ever_holds_more_than_its_own_limit(steps: list[tuple[str, bool]]) -> None:
    limits, held, refused = Limits(), dict[str, list[Admitted]](), 0
    tenants = {name: a_tenant(name, limit) for name, limit in zip("abc", (1, 2, 5), strict=True)}
    for now, (name, arrives) in enumerate(steps):
        mine = held.setdefault(name, [])
        if not arrives:
            if mine:
                limits.release(mine.pop())
            continue
        match limits.admit(tenants[name], float(now)):
            case Admitted() as place:
                mine.append(place)
            case TooMany(limit=limit):
                refused += 1
                assert len(mine) == limit
        assert len(mine) <= tenants[name].quotas.concurrent_calls
    uses = limits.statistics()
    assert {name: use.now for name, use in uses.items()} == {name: len(held[name]) for name in uses}
    assert sum(use.refused for use in uses.values()) == refused
