"""What can the receptionist do? Every model call is answered exactly once; no side effect happens twice.

May import: tenants, store, messages and below. Tested under virtual time with duplicates and cancellation.
"""
