"""The adversity table: every fault we answer for, placed as seeded calls over real sockets, and judged at the caller's
ear. ``python -m bench.adversity --help``.

    types      what a row is, what a run leaves, and the bars         silence   PURE: unexplained silence
    cast       who speaks: tenant, caller, model's voice and brain    play      one seeded call in a world of its own
    judge      from what was heard and kept to a ``RunResult``        rows_*    the faults, one row each
    table      text, JSON, Markdown                                   rows      all rows by name
"""
