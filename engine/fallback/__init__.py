"""What is said when no model can speak? A script that needs nothing from outside.

May import: tenants, voice, messages and below. Its table is pure; the responder is tested under virtual time.
"""
