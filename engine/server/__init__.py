"""The gateway application: HTTP for the carrier, the media plane's front door, health.

May import: call and below. ``app.py`` is the composition root. Tested over real sockets.
"""
