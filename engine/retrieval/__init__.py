"""What does the business know? Asked before every model turn, within a budget.

May import: tenants, store, messages and below. Tested under virtual time.
"""
