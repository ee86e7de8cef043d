"""When is which sample due, and what is in it? PURE: samples and time, numpy only, time is an argument.

May import: errors. Tested by Hypothesis and against independent implementations.
"""
