"""What would the outside do? Synthetic callers, carrier, models and networks: strict, seeded, shipped with the product.

May import: server and below. Demo, tests and bench all use these, and only these. Tested against the vendors' own
libraries where there are any.
"""
