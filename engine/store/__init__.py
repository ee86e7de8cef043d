"""What is kept: outcomes, transcripts, messages. One interface; memory and (later) PostgreSQL twins.

May import: messages and below. One test suite runs on every twin.
"""
