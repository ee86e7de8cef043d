"""A worker that does nothing but what its name's behaviour says; standard library only, so that it starts at once.

    python child_program.py LINK LOG NAME BEHAVIOUR

It writes ``<instant> NAME <event>`` lines to LOG.
"""

import os
import select
import signal
import socket
import sys
import time


def main(link_number: str, log: str, name: str, behaviour: str) -> None:
    link = socket.socket(fileno=int(link_number))
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(event: str) -> None:
        os.write(handle, f"{time.monotonic()} {name} {event}\n".encode())

    def dump(*_: object) -> None:
        note("dumped")

    signal.signal(signal.SIGUSR2, dump)
    note("started")
    if behaviour == "crash":
        os._exit(1)
    if behaviour == "mistake":
        os._exit(2)
    beating = True
    began = time.monotonic()
    while True:
        if beating:
            ready = behaviour != "never ready"
            link.send(b'{"ready":%s,"calls":3}\n' % (b"true" if ready else b"false"))
        if behaviour == "hang":
            beating = False
        if behaviour.startswith("dies after ") and time.monotonic() - began > float(behaviour.split()[-1]):
            note("dies")
            os.kill(os.getpid(), signal.SIGKILL)
        if not select.select([link], [], [], 0.05)[0]:
            continue
        orders = link.recv(100).decode()
        note(f"told {orders}" if orders else "orphaned")
        if not orders:
            os._exit(0)
        if behaviour == "deaf":
            continue
        for _ in range(2 if behaviour != "slow to leave" else 10):
            link.send(b'{"ready":true,"calls":3}\n')  # who leaves has callers on the line, and beats
            if select.select([link], [], [], 0.05)[0] and (more := link.recv(100).decode()):
                note(f"told {more}")
        note("gone")
        os._exit(0)


main(*sys.argv[1:])
