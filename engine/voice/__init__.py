"""Text to sound without a network, at set-up: fallback prompts, synthetic callers.

May import: audio, errors. Slow (tens of milliseconds a sentence): never on the fast path.
"""
