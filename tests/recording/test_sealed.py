"""Sealed recordings: what was written comes back, and nothing that was tampered with does."""

import io

import pytest

from engine.recording.sealed import LARGEST_CHUNK, MAGIC, Damaged, Sealer, unseal

SECRET = b"the operator's secret"
CHUNKS = [b"\x01" * 1000, b"\x02" * 500, b"\x03" * 2000]


def sealed(*, last: bool = True) -> bytes:
    sealer = Sealer(SECRET, "acme", "CA1-0")
    return sealer.head + b"".join(map(sealer.seal, CHUNKS)) + (sealer.seal(b"", last=True) if last else b"")


def opened(data: bytes, secret: bytes = SECRET, tenant_id: str = "acme", name: str = "CA1-0") -> list[bytes]:
    return list(unseal(io.BytesIO(data), secret, tenant_id, name))


def test_what_was_sealed_comes_back() -> None:
    assert opened(sealed()) == CHUNKS


def test_nothing_of_it_can_be_read_on_the_disk() -> None:
    data = sealed()
    assert not any(chunk[:16] in data for chunk in CHUNKS)
    assert sealed() != data, "each file has a key of its own"


@pytest.mark.parametrize(
    ("secret", "tenant_id", "name"),
    [(b"another", "acme", "CA1-0"), (SECRET, "other", "CA1-0"), (SECRET, "acme", "CA1-1")],
    ids=["secret", "tenant", "call"],
)
def test_it_opens_in_its_own_place_and_with_its_own_secret_only(secret: bytes, tenant_id: str, name: str) -> None:
    with pytest.raises(Damaged):
        opened(sealed(), secret, tenant_id, name)


def test_any_changed_byte_is_noticed_before_its_chunk_is_given() -> None:
    data = sealed()
    for at in range(0, len(data), 97):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            found = opened(changed)
        except Damaged:
            continue
        # A length that grew reaches behind the end, as of a file that was cut off.
        assert found == CHUNKS[: len(found)]


def test_chunks_that_changed_places_are_noticed() -> None:
    sealer = Sealer(SECRET, "acme", "CA1-0")
    first, second = sealer.seal(b"a" * 10), sealer.seal(b"b" * 10)
    with pytest.raises(Damaged):
        opened(sealer.head + second + first)


def test_a_file_whose_process_died_is_good_as_far_as_it_goes() -> None:
    assert opened(sealed(last=False)) == CHUNKS
    assert opened(sealed()[:-100])[:2] == CHUNKS[:2]


def test_nothing_follows_the_end() -> None:
    with pytest.raises(Damaged):
        opened(sealed() + sealed()[len(MAGIC) + 16 :])


def test_something_else_is_no_recording() -> None:
    for data in (b"", b"RIFF" + bytes(100), MAGIC):
        with pytest.raises(Damaged):
            opened(data)
    with pytest.raises(Damaged):
        opened(MAGIC + bytes(16) + (LARGEST_CHUNK + 1).to_bytes(4) + bytes(100))
