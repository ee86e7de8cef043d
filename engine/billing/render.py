"""A statement as CSV and as a page to print. PURE."""

import csv
import io
from decimal import Decimal
from html import escape

from engine.billing.statement import Line, Statement

_COLUMNS = ("kind", "label", "quantity", "late", "included", "billable", "unit", "price", "amount", "currency")
_UNSAFE = ("=", "+", "-", "@", "\t", "\r")  # at its beginning, a spreadsheet takes a cell for a formula

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
p { margin: .25rem 0; }
.open { border: 1px solid; padding: .5rem .75rem; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0; }
th, td { text-align: left; padding: .4rem .5rem; border-bottom: 1px solid #8886; vertical-align: top; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tfoot td { font-weight: 600; border-bottom: none; border-top: 2px solid; }
small { display: block; opacity: .75; }
@media print {
  :root { color-scheme: light; }
  body { margin: 0; max-width: none; font-size: 11pt; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  @page { margin: 20mm; }
}
"""


def as_csv(statement: Statement) -> str:
    """One row a line, CRLF as RFC 4180 has it; the total is in none, since it is their sum."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("tenant", "month", *_COLUMNS))
    for line in statement.lines:
        price = "" if line.price is None else _exact(line.price)
        numbers = (line.quantity, line.late, line.included, line.billable, line.unit)
        row = (line.kind, line.label, *map(_exact, numbers), price, _exact(line.amount), statement.currency)
        writer.writerow((statement.tenant_id, statement.month, *map(_safe, row)))
    return out.getvalue()


def as_html(statement: Statement) -> str:
    """A whole page with its style, no script, nothing from elsewhere."""
    title = f"Statement {statement.month}, {statement.tenant_name}"
    state = (
        f"<p>Closed {statement.closed_at:%Y-%m-%d %H:%M} UTC</p>"
        if statement.closed_at is not None
        else '<p class="open">This month is not closed: these are its figures so far.</p>'
    )
    rows = "".join(_row(line) for line in statement.lines)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>Tenant {escape(statement.tenant_id)}, {statement.calls} calls, months as in {escape(statement.timezone)}</p>
<p>Prices of {escape(statement.prices_from)}, in {escape(statement.currency)}</p>
{state}
<table>
<thead><tr><th scope="col">What</th><th scope="col" class="n">Used</th><th scope="col" class="n">Included</th>
<th scope="col" class="n">Price</th><th scope="col" class="n">Amount</th></tr></thead>
<tbody>{rows}</tbody>
<tfoot><tr><td colspan="4">Total</td><td class="n">{_money(statement.total, statement.currency)}</td></tr></tfoot>
</table>
</body>
</html>
"""


def _exact(number: Decimal) -> str:
    """Without exponent, to the last digit that is known."""
    return format(number, "f")


def _row(line: Line) -> str:
    late = f"<small>of it {_short(line.late)} from earlier months</small>" if line.late else ""
    price = "" if line.price is None else _price(line)
    return (
        f'<tr><th scope="row">{escape(line.label)}{late}</th><td class="n">{_short(line.quantity)}</td>'
        f'<td class="n">{_short(line.included) if line.included else ""}</td>'
        f'<td class="n">{price}</td><td class="n">{_exact(line.amount)}</td></tr>'
    )


def _price(line: Line) -> str:
    per = "" if line.unit == 1 else f" per {_short(line.unit)}"
    assert line.price is not None, "a line without a price shows none"
    return f"{_short(line.price)}{per}"


def _short(number: Decimal) -> str:
    """For people: thousands apart, no zeros at the end of decimals."""
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,f} {escape(currency)}"


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_UNSAFE) else cell
