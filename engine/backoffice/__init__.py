"""The slow path: what people and other programs ask of Frontdesk beside calls. An application of its own, in a process
of its own, so that nothing here can make a caller wait. It shares the database with the gateways and nothing else.

    app ............ the application: blueprints, errors, OpenAPI; how it is served
    ├─ access ...... who asks, what they may, how often; every write is audited
    │  ├─ once ..... Idempotency-Key: a repeated POST is answered as it was the first time
    │  └─ sessions . a page's cookie, in place of the bearer's token
    ├─ endpoint .... what a route takes and gives: strict models in, models out, and the OpenAPI document of it
    ├─ problems .... every error, as RFC 9457 problem details
    ├─ office ...... what all of it works with, made once: database, shelf, ledger, ...
    └─ api_* ....... one blueprint a resource, under ``/v1``

A tenant's key sees its tenant alone: every unit of work runs under that tenant's row level security.
"""
