"""How many calls does it hold, and what does one cost? Synthetic callers in processes of their own, and the report.

May import: sim, server and below. ``plan`` says what is to happen, ``run`` makes it happen, ``report`` says what came
of it. Child processes (``callers``, ``peers``) are told their part on stdin and report on stdout, a JSON line each.
"""
