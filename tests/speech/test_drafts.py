from engine.speech.drafts import BEGINNING, KEPT, Drafts

HALF_A_SECOND = bytes(range(250)) * 16


def test_longer_sound_of_the_same_beginning_finds_the_draft() -> None:
    drafts = Drafts()
    drafts.keep(HALF_A_SECOND + b"a", b"first")
    drafts.keep(HALF_A_SECOND + b"ab", b"second")
    assert drafts.find(HALF_A_SECOND + b"abc") == b"second"


def test_another_beginning_finds_nothing() -> None:
    drafts = Drafts()
    drafts.keep(HALF_A_SECOND, b"first")
    assert drafts.find(b"\0" + HALF_A_SECOND) == b""


def test_sound_too_short_to_be_told_from_others_has_no_draft() -> None:
    drafts = Drafts()
    drafts.keep(HALF_A_SECOND[: BEGINNING - 1], b"first")
    assert drafts.find(HALF_A_SECOND[: BEGINNING - 1]) == b""


def test_oldest_draft_is_forgotten_first() -> None:
    drafts = Drafts()
    sounds = [number.to_bytes(2, "big") * BEGINNING for number in range(KEPT + 1)]
    for sound in sounds:
        drafts.keep(sound, sound[:2])
    assert drafts.find(sounds[0]) == b""
    assert drafts.find(sounds[1]) == sounds[1][:2]
