"""What does a receptionist without a language model say and do? From what was heard, passages and the tenant's facts.

May import: tenants, messages and below. Pure: text in, acts out; no clock and no chance. ``dialogue`` is the class,
``acts`` its vocabulary. What is heard is read by ``intents`` and ``replies`` (what is wanted), ``slots``, ``days`` and
``contact`` (values for a tool's parameters), ``people``; ``forms`` is one wish on its way to a tool, which ``filling``
brings there, ``wishes`` begin and end, and ``outcomes`` report on; ``answers`` are taken from passages. All that it can
say of itself stands in ``phrases``. English only.
"""
