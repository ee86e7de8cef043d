"""What is kept? Tenants, what they know, ends of calls, messages, follow-ups, usage, effects, appointments.

May import: voice, messages and below. One interface for each subject (``interface``, ``follow_ups``, ``usage``,
``diary``, ``ledger``, ``tenants``, ``passages``) with twins behind it: ``memory``, ``files``, ``postgres_*``; one test
suite runs on every twin. Under the last stand, from the top: ``database`` (units of work), ``pool``, ``listening``,
``migrate``, ``connect`` (what a server is asked), ``server`` (which one), ``embedded`` (our own), ``pghome``,
``pgwatch``; and beside them ``bridge``, the one file that knows asyncio.
"""
