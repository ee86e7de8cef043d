"""What a tenant owes for a month, and how that is written down.

    period ..... a month in the tenant's own time zone, as instants (pure)
    book ....... the price book: versions of prices, each valid from a month on (pure)
    statement .. usage and prices in, lines and a total out (pure)
    render ..... a statement as CSV and as a page to print (pure)
    closing .... a month closed: once, with everything that was used before its end and is in no statement yet

Money is ``Decimal`` throughout, rounded once, per line. What was used is recorded by the gateways as calls end
(``engine/call/wrap_up.py``), once per call and kind, and never changed.
"""
