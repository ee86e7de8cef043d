"""Samples and time. PURE: numpy only, no event loop, and time is an argument.

May import: errors. Tested by Hypothesis and against independent implementations.
"""
