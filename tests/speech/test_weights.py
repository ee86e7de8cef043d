"""How weights come to be where the recogniser finds them. One real conversion per run, by the shared fixture."""

import json
from pathlib import Path

import pytest
import trio

from engine.errors import ConfigurationError
from engine.speech import weights
from tests.speech.children import children


class Converter:
    """In place of the real one: writes small files, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, seconds: float = 0.0) -> None:
        self.runs = 0
        self.at_work = 0
        self.most_at_work = 0
        self._seconds = seconds
        monkeypatch.setattr(weights, "_convert", self.convert)

    async def convert(self, source: Path, part: Path, on_progress: object) -> None:
        self.runs += 1
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            (part / weights.ENCODER).write_bytes(b"half")
            await trio.sleep(self._seconds)
            (part / weights.ENCODER).write_bytes(b"the whole")
        finally:
            self.at_work -= 1


def test_this_platform_can_recognise_speech(speech_weights: Path) -> None:
    assert weights.available()
    assert speech_weights.name == weights.fingerprint()
    assert {path.name for path in speech_weights.iterdir()} == {
        weights.ENCODER,
        weights.FIRST,
        weights.NEXT,
        weights.VOCABULARY,
        "sizes.json",
    }


async def test_weights_are_made_once_and_then_only_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converter = Converter(monkeypatch)
    first = await weights.prepare(tmp_path)
    assert await weights.prepare(tmp_path) == first == tmp_path / "speech" / weights.fingerprint()
    assert converter.runs == 1


async def test_many_who_ask_at_once_wait_for_one_who_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    converter = Converter(monkeypatch, seconds=3.0)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(weights.prepare, tmp_path)
    assert (converter.runs, converter.most_at_work) == (1, 1)


async def test_unfinished_weights_are_never_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    Converter(monkeypatch, seconds=3.0)
    with trio.move_on_after(1.0):
        await weights.prepare(tmp_path)
    assert [path.name for path in (tmp_path / "speech").iterdir()] == [".lock"]


async def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Converter(monkeypatch)
    left = tmp_path / "speech" / "part-of-somebody"
    left.mkdir(parents=True)
    (left / "encoder.onnx").write_bytes(b"half")
    await weights.prepare(tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("damage", ["shorter", "gone", "no list", "no sense"])
async def test_damaged_weights_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    converter = Converter(monkeypatch)
    made = await weights.prepare(tmp_path)
    match damage:
        case "shorter":
            (made / weights.ENCODER).write_bytes(b"the")
        case "gone":
            (made / weights.ENCODER).unlink()
        case "no list":
            (made / "sizes.json").unlink()
        case _:
            (made / "sizes.json").write_bytes(b"{")
    assert await weights.prepare(tmp_path) == made
    assert converter.runs == 2
    assert (made / weights.ENCODER).read_bytes() == b"the whole"


async def test_conversion_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "package"
    source.mkdir()
    (source / weights.VOCABULARY).write_bytes(b"")
    for name in ("encoder_model.ort", "decoder_model_merged.ort"):
        (source / name).write_bytes(b"not a model")
    monkeypatch.setattr(weights, "_shipped", lambda: source)
    with pytest.raises(ConfigurationError, match="could not be converted"):
        await weights.prepare(tmp_path)
    assert [path.name for path in (tmp_path / "speech").iterdir()] == [".lock"]


async def test_cancelled_conversion_leaves_no_process(tmp_path: Path) -> None:
    if not weights.available():
        pytest.skip("no package with weights for this platform")
    before = children()
    with trio.CancelScope() as scope:
        await weights.prepare(tmp_path, on_progress=lambda _: scope.cancel())
    assert scope.cancelled_caught
    assert children() == before
    assert [path.name for path in (tmp_path / "speech").iterdir()] == [".lock"]


async def test_platform_without_the_package_is_told_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    assert not weights.available()
    with pytest.raises(ConfigurationError, match="FRONTDESK_LOCAL_MODEL=false"):
        await weights.prepare(tmp_path)


async def test_directory_that_cannot_be_used_is_named_with_the_cure(tmp_path: Path) -> None:
    if not weights.available():
        pytest.skip("no package with weights for this platform")
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(ConfigurationError, match="choose another"):
        await weights.prepare(tmp_path / "file")


@pytest.mark.parametrize(
    ("machine", "flags", "bits"),
    [
        ("x86_64", "flags : fma avx2 avx512_vnni", 8),
        ("x86_64", "flags : fma avx2 avx_vnni", 8),
        ("x86_64", "flags : fma avx2", 7),
        ("arm64", None, 8),
        ("x86_64", None, 7),
    ],
)
def test_weights_have_as_many_bits_as_the_processor_multiplies_exactly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: str, flags: str | None, bits: int
) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(weights, "_PROCESSOR", tmp_path / "cpuinfo")
    assert weights.bits() == bits
    assert weights.fingerprint().endswith(f"-{bits}bit")


def test_sizes_are_those_of_the_files(speech_weights: Path) -> None:
    sizes = json.loads((speech_weights / "sizes.json").read_bytes())
    assert sizes == {name: (speech_weights / name).stat().st_size for name in sizes}
