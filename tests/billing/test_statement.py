"""Money adds up: rounded once per line, the total is what its lines say, whatever was used."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.billing.book import Price, PriceBook, Version, read_price_book
from engine.billing.period import Month
from engine.billing.render import as_csv, as_html
from engine.billing.statement import Statement, make_statement
from engine.errors import ConfigurationError
from engine.store.statements import UsageSum

MARCH = Month(2026, 3)
BOOK = """
versions:
  - valid_from: 2026-03
    currency: EUR
    base: "9.90"
    prices:
      line-seconds: {unit: 60, price: "0.05", included: 600}
      gemini-live-tokens-out: {label: Words of the model, unit: 1000000, price: "12"}
  - {valid_from: 2025-01, currency: EUR, prices: {line-seconds: {unit: 60, price: "0.10"}}}
"""


def book(tmp_path: Path, text: str = BOOK) -> PriceBook:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    return read_price_book(path)


def statement(usage: list[UsageSum], version: Version) -> Statement:
    return make_statement("acme", "Acme", MARCH, "Europe/Berlin", usage, version)


def test_a_statement_is_what_its_book_says(tmp_path: Path) -> None:
    usage = [
        UsageSum("line-seconds", Decimal("1234.5"), 9),
        UsageSum("gemini-live-tokens-out", Decimal(1_500_001), 9),
        UsageSum("transfers", Decimal(2), 2),
    ]
    made = statement(usage, book(tmp_path).at(MARCH))
    assert [(line.kind, str(line.amount)) for line in made.lines] == [
        ("base", "9.90"),
        ("line-seconds", "0.53"),  # 634.5 s at 0.05 a minute: 0.52875
        ("transfers", "0.00"),
        ("gemini-live-tokens-out", "18.00"),
    ]
    assert str(made.total) == "28.43"
    assert made.calls == 9


@pytest.mark.parametrize(("seconds", "amount"), [("30", "0.02"), ("90", "0.08"), ("18", "0.02"), ("42", "0.04")])
def test_half_a_cent_goes_to_the_even_one(seconds: str, amount: str) -> None:
    prices = {"line-seconds": Price(unit=Decimal(60), price=Decimal("0.05"))}
    version = Version(valid_from="2026-01", currency="EUR", prices=prices)
    (line,) = statement([UsageSum("line-seconds", Decimal(seconds), 1)], version).lines
    assert str(line.amount) == amount


AMOUNT = st.decimals(0, 10**9, places=6)
SUMS = st.lists(
    st.builds(UsageSum, st.from_regex(r"[a-z]{1,8}", fullmatch=True), AMOUNT, st.integers(1, 99), AMOUNT),
    max_size=6,
    unique_by=lambda one: one.kind,
)
PRICES = st.builds(Price, price=st.decimals(0, 100, places=6), unit=st.integers(1, 10**6).map(Decimal), included=AMOUNT)


@given(usage=SUMS, data=st.data(), decimals=st.integers(0, 4))
def test_whoever_adds_the_lines_up_finds_the_total(usage: list[UsageSum], data: st.DataObject, decimals: int) -> None:
    prices = {one.kind: data.draw(PRICES) for one in usage}
    version = Version(valid_from="2026-01", currency="EUR", decimals=decimals, prices=prices)
    made = statement(usage, version)
    assert sum((line.amount for line in made.lines), Decimal(0)) == made.total
    for line in made.lines:
        assert line.included + line.billable == line.quantity
        assert line.price is not None
        assert abs(line.amount - line.billable * line.price / line.unit) <= Decimal(1).scaleb(-decimals) / 2
    assert Statement.of_document(orjson.loads(orjson.dumps(made.document())), None) == made
    rows = list(csv.DictReader(io.StringIO(as_csv(made))))
    assert sum((Decimal(row["amount"]) for row in rows), Decimal(0)) == made.total


def test_the_newest_version_that_is_valid_at_the_months_beginning_prices_it(tmp_path: Path) -> None:
    found = book(tmp_path)
    assert [found.at(Month.read(month)).valid_from for month in ("2025-01", "2026-02", "2026-03", "2031-01")] == [
        "2025-01",
        "2025-01",
        "2026-03",
        "2026-03",
    ]
    with pytest.raises(ConfigurationError, match="no version of the price book is valid in 2024-12"):
        found.at(Month.read("2024-12"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("versions: []", "versions"),
        ("versions: [{valid_from: 2026-13, currency: EUR}]", "valid_from"),
        ("versions: [{valid_from: 2026-01, currency: EUR, prices: {x: {price: 0.05}}}]", "in quotes"),
        ('versions: [{valid_from: 2026-01, currency: EUR, prices: {x: {price: "-1"}}}]', "greater than or equal"),
        ('versions: [{valid_from: 2026-01, currency: EUR, prices: {x: {price: "1", unit: 0}}}]', "greater than 0"),
        ("versions: [{valid_from: 2026-01, currency: EUR}, {valid_from: 2026-01, currency: USD}]", "two versions"),
        ("}", "cannot be read"),
    ],
)
def test_a_book_that_cannot_be_used_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        book(tmp_path, text)


def test_a_month_is_the_tenants_own() -> None:
    assert MARCH.begins("Europe/Berlin") == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert MARCH.ends("Europe/Berlin") == datetime(2026, 3, 31, 22, tzinfo=UTC)  # its clocks have changed meanwhile
    assert Month.of(datetime(2026, 3, 31, 22, tzinfo=UTC), "Europe/Berlin") == Month(2026, 4)
    assert str(Month(2026, 12).next) == "2027-01"
    with pytest.raises(ConfigurationError, match="is no month"):
        Month.read("2026-3")


def test_a_page_shows_names_as_text_and_says_that_a_month_is_open() -> None:
    version = Version(valid_from="2026-01", currency="EUR")
    made = make_statement("acme", "<b>Acme</b>", MARCH, "UTC", [UsageSum("x", Decimal(2), 1, Decimal(1))], version)
    page = as_html(made)
    assert "&lt;b&gt;Acme" in page
    assert "<b>" not in page
    assert "not closed" in page
    assert "of it 1 from earlier months" in page
    assert "<script" not in page


def test_a_cell_is_never_a_formula() -> None:
    prices = {"x": Price(price=Decimal(1), label="=HYPERLINK(1)")}
    version = Version(valid_from="2026-01", currency="EUR", prices=prices)
    (row,) = csv.DictReader(io.StringIO(as_csv(statement([UsageSum("x", Decimal(1), 1)], version))))
    assert row["label"] == "'=HYPERLINK(1)"
