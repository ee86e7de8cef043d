"""What is said in this sound, and how does that sentence sound, while a call waits? Processes shared by all calls.

May import: voice, messages, config and below. Heavy work never runs on the trio thread. ``interface`` is what others
see; ``pool`` is it with processes (``child`` on this side of the pipe, ``process`` on the other), ``inline`` without,
for tests under virtual time; ``listener`` is a ``ListenProvider`` on either. ``weights`` are made once
per machine.
"""
