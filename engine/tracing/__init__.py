"""What happened in a call, for people who look at many: its record as spans, sent off when it has ended.

Pure in ``story`` (the record's document in, spans out), a thread in ``otlp`` (spans out of this process). Nothing here
runs while a call is on. May import nothing of ours. Tested by documents of whole calls, and by a collector that fails.
"""
