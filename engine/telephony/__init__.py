"""The phone side of a call: the media plane, the line on it, ingress, jitter, egress, the carrier's REST.

May import: messages, wire, audio and below (never model, fallback, retrieval, tools). Tested over real sockets with
``sim.caller`` and over socket pairs under virtual time.
"""
