"""What is kept? Ends of calls, messages, follow-ups, effects, appointments.

May import: voice, messages and below. One interface for each subject with twins behind it (memory, files); one test
suite runs on every twin.
"""
