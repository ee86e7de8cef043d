"""What is on the phone? The media plane, the line on it, ingress, jitter, egress, the carrier's REST.

May import: messages, wire, audio and below (never model, fallback, retrieval, tools). Tested over socket pairs and real
sockets under virtual time.
"""
