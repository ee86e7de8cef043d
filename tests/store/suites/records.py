"""What every ``Store``, ``FollowUps`` and ``Usage`` promises. The fixture ``store`` is all three."""

import pytest
import trio

from engine.errors import MisuseError
from engine.store.follow_ups import FollowUp
from engine.store.interface import CallEnd, Message
from engine.store.spool import Keeper
from engine.store.usage import UsageRecord


def an_end(tenant_id: str = "acme", call_sid: str = "CA1", reason: str = "hang_up", messages: int = 0) -> CallEnd:
    left = tuple(
        Message(tenant_id, call_sid, "+15550100199", bytes([n]) * 800, f"2026-11-02T10:00:0{n}+00:00")
        for n in range(messages)
    )
    return CallEnd(tenant_id, call_sid, "success", reason, {"transcript": [{"who": "caller", "text": "hé"}]}, left)


def a_follow_up(tenant_id: str = "acme", key: str = "k1", text: str = "call back") -> FollowUp:
    return FollowUp(tenant_id, "CA1", key, "message", "+15550100199", text, "2026-11-02T10:00:00+00:00", {"n": [1]})


async def test_a_kept_call_comes_back_as_it_was_with_its_messages(store: Keeper) -> None:
    end = an_end(messages=3)
    assert await store.keep_call(end) is True
    assert await store.calls("acme") == [end]


async def test_a_second_keeping_of_the_same_call_changes_nothing(store: Keeper) -> None:
    await store.keep_call(an_end(reason="hang_up"))
    assert await store.keep_call(an_end(reason="crashed", messages=1)) is False
    assert await store.calls("acme") == [an_end(reason="hang_up")]


async def test_calls_come_back_oldest_first_whatever_they_are_called(store: Keeper) -> None:
    sids = [f"CA{n}" for n in (5, 1, 9, 3, 2)]
    for sid in sids:
        await store.keep_call(an_end(call_sid=sid))
    assert [end.call_sid for end in await store.calls("acme")] == sids


async def test_tenants_never_see_each_other_even_with_one_call_sid(store: Keeper) -> None:
    assert await store.keep_call(an_end("acme", "CA1", reason="a"))
    assert await store.keep_call(an_end("other", "CA1", reason="b"))
    assert await store.keep_follow_up(a_follow_up("acme", text="a"))
    assert await store.keep_follow_up(a_follow_up("other", text="b"))
    assert [end.outcome_reason for end in await store.calls("acme")] == ["a"]
    assert [item.text for item in await store.follow_ups("other")] == ["b"]
    assert await store.calls("nobody") == []
    assert await store.follow_ups("nobody") == []


async def test_of_many_who_keep_one_call_at_once_one_is_the_first(store: Keeper) -> None:
    firsts: list[bool] = []

    async def keep() -> None:
        firsts.append(await store.keep_call(an_end(messages=1)))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(keep)
    assert sorted(firsts) == [False] * 19 + [True]
    assert len(await store.calls("acme")) == 1


async def test_a_follow_up_is_kept_once_per_key(store: Keeper) -> None:
    assert await store.keep_follow_up(a_follow_up(key="k1", text="first")) is True
    assert await store.keep_follow_up(a_follow_up(key="k1", text="second")) is False
    assert await store.keep_follow_up(a_follow_up(key="k2", text="third")) is True
    assert await store.follow_ups("acme") == [a_follow_up(key="k1", text="first"), a_follow_up(key="k2", text="third")]


async def test_what_was_kept_cannot_be_changed_from_outside(store: Keeper) -> None:
    end = an_end()
    await store.keep_call(end)
    end.document["transcript"] = "forged"
    (await store.calls("acme"))[0].document.clear()
    assert (await store.calls("acme"))[0].document == an_end().document


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a\\b", "x" * 129, "CA1\n", "C\u00e41", "a\x00"])
async def test_an_id_that_is_no_plain_name_is_refused(store: Keeper, name: str) -> None:
    for end in (an_end(call_sid=name), an_end(tenant_id=name)):
        with pytest.raises(MisuseError):
            await store.keep_call(end)
    for item in (a_follow_up(tenant_id=name), a_follow_up(key=name)):
        with pytest.raises(MisuseError):
            await store.keep_follow_up(item)
    with pytest.raises(MisuseError):
        await store.calls(name)
    with pytest.raises(MisuseError):
        await store.follow_ups(name)


async def test_a_message_of_another_tenant_or_call_is_refused(store: Keeper) -> None:
    for stranger in (an_end("other", "CA1", messages=1), an_end("acme", "CA2", messages=1)):
        end = CallEnd("acme", "CA1", "success", "hang_up", {}, stranger.messages)
        with pytest.raises(MisuseError, match="another call or tenant"):
            await store.keep_call(end)
    assert await store.calls("acme") == []


async def test_a_document_that_is_not_json_is_refused(store: Keeper) -> None:
    end = CallEnd("acme", "CA1", "success", "hang_up", {"audio": b"\xff"})
    with pytest.raises(MisuseError, match="CA1 is not JSON-ready"):
        await store.keep_call(end)
    assert await store.calls("acme") == []


def a_usage(
    tenant_id: str = "acme", call_sid: str = "CA1", kind: str = "minutes", quantity: float = 2.5
) -> UsageRecord:
    return UsageRecord(tenant_id, call_sid, kind, quantity, "2026-11-02T10:00:00+00:00", {"model": "h\xe9"})


async def test_usage_is_kept_once_per_call_with_its_kind(store: Keeper) -> None:
    assert await store.keep_usage(a_usage()) is True
    assert await store.keep_usage(a_usage(quantity=99)) is False
    assert await store.keep_usage(a_usage(kind="tokens", quantity=7)) is True
    assert await store.keep_usage(a_usage("other", quantity=3)) is True
    assert await store.usage("acme") == [a_usage(), a_usage(kind="tokens", quantity=7)]
    assert await store.usage("nobody") == []


@pytest.mark.parametrize("bad", [a_usage(kind="../x"), a_usage(kind="k" * 65), a_usage(quantity=float("nan"))])
async def test_usage_that_cannot_be_added_up_is_refused(store: Keeper, bad: UsageRecord) -> None:
    with pytest.raises(MisuseError):
        await store.keep_usage(bad)
    assert await store.usage("acme") == []


ODD = {"nul": "a\x00b", "big": 2**53, "tiny": 1e-300, "exact": 1.0, "\u2028": ["\U0001f600", None, True], "z": {"a": 1}}


async def test_odd_words_come_back_to_the_letter(store: Keeper) -> None:
    end = CallEnd("acme", "CA1", "succ\x00ess", "h\x00", ODD, (Message("acme", "CA1", "\x00", b"", "now"),))
    item = FollowUp("acme", "", "k", "task", "", "no\x00ne", "now", ODD)
    await store.keep_call(end)
    await store.keep_follow_up(item)
    assert await store.calls("acme") == [end]
    assert await store.follow_ups("acme") == [item]
