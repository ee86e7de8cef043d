"""Several gateways on one port, one process each, and the process that keeps them: restarted, replaced, ended.

    supervisor ...... who lives, who is replaced, who stands in; tells workers what to do, never touches a call
    ├─ pulse ........ PURE: who stands still, and whether by itself or with the whole machine
    └─ child ........ one process as its parent sees it: beats, deadlines, death
       ══ link ══     a pair of sockets: beats one way, orders the other; its end is the death of whoever held it
       └─ worker .... the same process from inside: the gateway, with somebody above it
       └─ stand_in .. answers with the static script while no worker can

The parent opens the listening socket once and hands that to each: whoever is free accepts, and what waits in the
backlog when a worker dies is accepted by the next. Tests: the policy with numbers, the supervisor with small scripts as
children, all of it with real workers in ``tests/adversity/test_workers.py``.
"""
