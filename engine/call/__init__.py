"""How does one call go, from answer to outcome? The supervision tree, the turn table, the switchboard.

May import: the five actor rooms and below. Its tables are pure; whole calls are tested under virtual time against the
simulators (``tests/scenarios``, ``tests/adversity``).
"""
