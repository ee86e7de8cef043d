"""What was said in a call, as sound: caller left, agent right, sealed on disk. Only for tenants who ask for it.

``track`` and ``sealed`` are pure (times and bytes in, bytes out), ``files`` knows where they lie, ``recorder`` is a
call's part and ``writer`` the thread. May import ``store``. Tested by tones at known times, and by bytes that were
tampered with.
"""
