"""What is said in this sound, and how does that sentence sound, while a call waits? Processes shared by all calls.

May import: voice, config and below. Heavy work never runs on the trio thread. ``interface`` is what others see.
"""
