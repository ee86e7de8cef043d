"""One call, from answer to outcome: the supervision tree, the turn table, the switchboard.

May import: the five actor rooms and below. Nobody but ``supervisor.py`` knows all actors.
"""
