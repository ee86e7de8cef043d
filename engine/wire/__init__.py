"""What did they say, and how do we say it? Outside messages <-> typed events. PURE: no event loop, no sockets.

May import: errors. Tested by Hypothesis, with published vectors, and against the vendors' own libraries.
"""
