"""Which of a tenant's own systems is told of what happened, and how surely: at least once, in each call's order.

    the database ... makes the events, in the transaction of their facts (migration 4), and one delivery per endpoint
    └─ sender ...... claims what is due, endpoint by endpoint, and settles what came of it
       ├─ attempt .. one try: signed, to a public address, within its time
       ├─ seal ..... an endpoint's secret, encrypted at rest
       └─ schedule . when a try is made again, and when no more (pure)

Runs in the back office's process. Knows the store and the guarded way out of ``engine.tools``; tested against a real
PostgreSQL and a receiver that fails, hangs and restarts.
"""
