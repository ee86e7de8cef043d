"""Who comes in? HTTP for the carrier, the media plane's front door, health.

May import: call and below. ``compose.py`` is the composition root, ``app.py`` the gateway as a whole. Tested over real
sockets.
"""
