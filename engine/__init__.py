"""Frontdesk's engine: one call, one supervised tree of actors, and a line that never goes silent.

The rooms, in the order data flows, each knowing only what stands below it (checked by import-linter):

    commands    what ``frontdesk`` can be told to do
    workers     several gateways on one port: supervised, replaced, restarted
    sim         synthetic callers, carrier, model servers and networks: shipped, used by demo, tests and bench
    server      the gateway application: HTTP, the media plane's front door, health
    call        one call from answer to outcome: the supervision tree, the turn table, the switchboard
    telephony   the phone side: media plane, line, ingress, jitter, egress, the provider's REST
    model       the model side: one provider-neutral session, one file per provider
    fallback    the scripted voice that needs nothing from outside
    retrieval   what the business knows
    tools       what the receptionist can do
    tenants     whose call it is
    recording   calls as sound, sealed, for tenants who ask for it
    store       what is kept
    voice       text to sound, offline, at set-up
    messages    the vocabulary between actors
    wire, audio pure: outside messages <-> typed events; samples and deadlines (time is an argument)

and ``config``, ``log``, ``metrics``, ``tracing`` and ``errors``, which all may know.
"""

import os

# Before numpy is loaded: our matrices are small, and threads for them cost more than they bring (measured: 5 times).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
