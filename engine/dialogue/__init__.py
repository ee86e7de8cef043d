"""What does a receptionist without a language model say and do? From what was heard, passages and the tenant's facts.

May import: tenants, messages and below. Pure: text in, acts out. ``acts`` is the vocabulary, ``dialogue`` the class.
"""
