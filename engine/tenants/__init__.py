"""Whose call is it? Frozen facts about a business, and the directory from number to business.

May import: store and below. Tested without any I/O.
"""
