"""How does this sentence sound? Text to sound without a network, at set-up: prompts, synthetic callers.

May import: audio, errors. Slow (tens of milliseconds a sentence): never on the fast path. Tested on real speech.
"""
