"""A file is read by a process of its own: the same as beside us, but within bounds, and ended when nobody waits."""

import zlib
from pathlib import Path

import psutil
import pytest
import trio

from engine.errors import ConfigurationError
from engine.retrieval import read_apart
from engine.retrieval.readers import read_document
from tests.retrieval.a_pdf import a_pdf

pytestmark = pytest.mark.real_time

SOON_S = 20.0
ENDLESS = b"BT /F1 1 Tf " + b"(a) Tj 0 0 Td " * 300_000 + b"ET"


def put(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def heavy_pdf() -> bytes:
    """Small as a file, and seconds of work for whoever takes it apart."""
    stream = zlib.compress(ENDLESS)
    head = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    page = b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R"
    page += b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n"
    body = b"4 0 obj<</Length %d/Filter/FlateDecode>>stream\n" % len(stream) + stream + b"\nendstream endobj\n"
    return head + page + body + b"trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF"


def children() -> list[int]:
    return [one.pid for one in psutil.Process().children() if any("reading_process" in part for part in one.cmdline())]


async def test_what_is_read_apart_is_what_would_be_read_beside(tmp_path: Path) -> None:
    for name, data in (
        ("a.md", b"# Parken\n\nHinter dem Haus, **gratis**.\n"),
        ("a.pdf", a_pdf([[(20, "Prices"), (11, "A cleaning is 90 dollars.")]])),
    ):
        path = put(tmp_path, name, data)
        assert await read_apart.read_apart(path, name) == read_document(path, name)


async def test_a_refusal_is_the_readers_own(tmp_path: Path) -> None:
    path = put(tmp_path, "a.pdf", b"no pdf at all")
    with pytest.raises(ConfigurationError, match="is damaged or no PDF"):
        await read_apart.read_apart(path, "a.pdf")


async def test_who_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_apart, "WAIT_S", 1.0)
    with trio.fail_after(SOON_S), pytest.raises(ConfigurationError, match="takes longer than"):
        await read_apart.read_apart(put(tmp_path, "a.pdf", heavy_pdf()), "a.pdf")
    assert children() == []


async def test_who_computes_too_long_is_ended_by_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_apart, "CPU_S", 1)
    with pytest.raises(ConfigurationError, match="cannot be read in 1 s"):
        await read_apart.read_apart(put(tmp_path, "a.pdf", heavy_pdf()), "a.pdf")


async def test_who_takes_too_much_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_apart, "MEMORY_MB", 128)
    with pytest.raises(ConfigurationError, match="too much memory"):
        await read_apart.read_apart(put(tmp_path, "a.md", b"a word\n\n" * 2_000_000), "a.md")


async def test_nobody_who_waits_leaves_no_process(tmp_path: Path) -> None:
    path = put(tmp_path, "a.pdf", heavy_pdf())
    with trio.move_on_after(SOON_S) as waiting:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_apart.read_apart, path, "a.pdf")
            while not children():
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert not waiting.cancelled_caught
    assert children() == []
