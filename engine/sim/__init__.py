"""Synthetic callers, models, networks and faults: strict, seeded, shipped with the product.

May import: everything below. Demo, tests and bench all use these, and only these.
"""
