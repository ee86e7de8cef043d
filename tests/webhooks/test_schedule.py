"""When a delivery is tried again: soon at first, then rarely, for about three days."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigurationError
from engine.webhooks.schedule import FIRST_S, LONGEST_ASKED_S, LONGEST_S, MOST_ATTEMPTS, SPREAD, pause_s
from engine.webhooks.seal import Sealer, new_secret

DAY_S = 86400.0


def test_fifteen_tries_take_about_three_days() -> None:
    pauses = [pause_s(attempts, 0.5) for attempts in range(1, MOST_ATTEMPTS + 1)]
    assert pauses[0] == FIRST_S
    assert pauses[-1] is None
    assert 2.5 * DAY_S < sum(pause for pause in pauses if pause is not None) < 3.5 * DAY_S


@given(attempts=st.integers(1, MOST_ATTEMPTS - 1), spread=st.floats(0, 1), asked_s=st.floats(0, 1e6))
def test_no_pause_is_longer_than_the_longest_nor_shorter_than_was_asked_for(
    attempts: int, spread: float, asked_s: float
) -> None:
    pause = pause_s(attempts, spread, asked_s)
    assert pause is not None
    assert FIRST_S * (1 - SPREAD) - 1e-6 <= pause <= LONGEST_S * (1 + SPREAD) + 1e-6
    assert pause >= min(asked_s, LONGEST_ASKED_S)


def test_what_failed_together_does_not_come_together() -> None:
    early, late = pause_s(3, 0.0), pause_s(3, 1.0)
    assert early is not None
    assert late is not None
    assert early < late


def test_a_secret_opens_only_where_it_was_sealed() -> None:
    sealer, secret = Sealer("key"), new_secret()
    sealed = sealer.seal("acme", "main", secret)
    assert secret.encode() not in sealed
    assert sealer.open("acme", "main", sealed) == secret
    for other, tenant_id, endpoint_id in (
        (sealer, "other", "main"),
        (sealer, "acme", "x"),
        (Sealer("k"), "acme", "main"),
    ):
        with pytest.raises(ConfigurationError, match="sealed with another"):
            other.open(tenant_id, endpoint_id, sealed)
    with pytest.raises(ConfigurationError, match="FRONTDESK_SECRET_KEY"):
        Sealer(None).seal("acme", "main", secret)
