import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from engine.errors import MisuseError, TokenRefused
from engine.wire.stream_token import MAX_TOKEN, StreamClaims, StreamTokens, UsedTokens

SECRET = "correct horse battery staple"
CALL = "CA00000000000000000000000000000001"
ACCOUNT = "AC00000000000000000000000000000001"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Clock:
    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def tokens(clock: Clock | None = None, *, secret: str = SECRET, lifetime_s: float = 30) -> StreamTokens:
    return StreamTokens(secret, lifetime_s=lifetime_s, clock=clock or Clock())


def issue(source: StreamTokens, *, call_sid: str = CALL, attempt: int = 0) -> str:
    return source.issue(call_sid=call_sid, account_sid=ACCOUNT, tenant_id="acme", attempt=attempt)


def reason_of(source: StreamTokens, token: str, *, call_sid: str = CALL, account_sid: str = ACCOUNT) -> str:
    with pytest.raises(TokenRefused) as caught:
        source.verify(token, call_sid=call_sid, account_sid=account_sid)
    return caught.value.reason


@given(call=st.text(max_size=34), account=st.text(max_size=20), tenant=st.text(max_size=20), attempt=st.integers(0, 9))
def test_a_genuine_token_says_what_it_was_issued_for(call: str, account: str, tenant: str, attempt: int) -> None:
    token = tokens().issue(call_sid=call, account_sid=account, tenant_id=tenant, attempt=attempt)
    claims = tokens().verify(token, call_sid=call, account_sid=account)
    assert claims == StreamClaims(call, account, tenant, attempt, 1_700_000_000)


def test_the_longest_ordinary_claims_fit_into_a_stream_parameter() -> None:
    token = tokens().issue(call_sid=CALL, account_sid=ACCOUNT, tenant_id="q9-" * 21, attempt=99)
    assert len(token) <= MAX_TOKEN
    with pytest.raises(MisuseError):
        tokens().issue(call_sid=CALL, account_sid=ACCOUNT, tenant_id=hashlib.shake_256(b"").hexdigest(200), attempt=1)


def test_a_token_lives_for_its_lifetime_and_no_longer() -> None:
    clock = Clock()
    source = tokens(clock)
    token = issue(source)
    clock.now += 29.9
    source.verify(token, call_sid=CALL, account_sid=ACCOUNT)
    clock.now += 0.1
    assert reason_of(source, token) == "expired"


def test_a_token_of_another_call_or_account_is_foreign() -> None:
    token = issue(tokens())
    assert reason_of(tokens(), token, call_sid="CA2") == "foreign"
    assert reason_of(tokens(), token, account_sid="AC2") == "foreign"


def test_a_token_under_another_secret_is_forged() -> None:
    assert reason_of(tokens(), issue(tokens(secret="another secret of ours"))) == "forged"


@pytest.mark.parametrize("token", ["", ".", "abc", ".abc", "abc.", "é.a", "a" * 401, "a." * 300])
def test_what_has_not_the_form_of_a_token_is_malformed(token: str) -> None:
    assert reason_of(tokens(), token) == "malformed"


@pytest.mark.parametrize("said", [[], ["a", "b", "c", 1], ["a", "b", "c", "1", 2], {"call": "a"}, 5])
def test_our_own_signature_under_another_format_is_malformed(said: object) -> None:
    signer = URLSafeSerializer(SECRET, salt="frontdesk.stream", signer_kwargs={"digest_method": hashlib.sha256})
    token = signer.dumps(said)
    assert isinstance(token, str)
    assert reason_of(tokens(), token) == "malformed"


@given(place=st.integers(0, 500), new=st.sampled_from([*ALPHABET, "", "=", "!", "/", "+", " ", "é", "\n", "."]))
def test_no_other_spelling_of_a_token_is_taken(place: int, new: str) -> None:
    token = issue(tokens())
    place %= len(token) + 1
    changed = token[:place] + new + token[place + 1 :]
    if changed != token:
        assert reason_of(tokens(), changed) in {"malformed", "forged"}


def test_a_signature_in_another_spelling_of_the_same_bytes_is_forged() -> None:
    token = issue(tokens())
    for last in ALPHABET:  # the last character carries two bits that mean nothing
        if last != token[-1]:
            assert reason_of(tokens(), token[:-1] + last) == "forged"


@given(st.text(max_size=80))
def test_noise_is_refused(token: str) -> None:
    assert reason_of(tokens(), token) in {"malformed", "forged"}


def test_the_same_claims_in_the_same_second_give_the_same_token_and_others_another() -> None:
    clock = Clock()
    first = issue(tokens(clock))
    clock.now += 0.5
    assert issue(tokens(clock)) == first
    assert issue(tokens(clock), attempt=1) != first
    clock.now += 1
    assert issue(tokens(clock)) != first


def test_a_short_secret_is_misuse_and_not_repeated() -> None:
    with pytest.raises(MisuseError) as caught:
        tokens(secret="hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_token_is_used_once() -> None:
    used = UsedTokens()
    assert used.use("a", 0.0)
    assert not used.use("a", 1.0)
    assert used.use("b", 1.0)


def test_used_tokens_are_remembered_as_long_as_they_live_and_then_forgotten() -> None:
    used = UsedTokens(lifetime_s=30)
    for i in range(1000):
        assert used.use(f"early {i}", float(i) / 1000)
    assert not used.use("early 999", 29.9)
    assert used.use("late", 31.0)
    assert len(used) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 20)), max_size=30))
def test_no_token_opens_two_streams_within_its_lifetime(uses: list[tuple[str, float]]) -> None:
    used, now, last_good = UsedTokens(lifetime_s=30), 0.0, dict[str, float]()
    for token, later in uses:
        now += later
        fresh = token not in last_good or now >= last_good[token] + 30
        assert used.use(token, now) == fresh
        if fresh:
            last_good[token] = now
