"""What does the model say? One provider-neutral session; one file per provider behind it.

May import: messages, wire, audio and below (never telephony, fallback, retrieval, tools). Tested over memory streams
under virtual time, and over sockets against ``sim.model``.
"""
