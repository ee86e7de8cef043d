"""When a delivery is tried again, and when that ends. PURE.

Pauses grow from 5 s to 10 h; fifteen tries take about three days. They are spread, so that what failed together does
not come together. An endpoint that has taken nothing for five days is turned off.
"""

FIRST_S = 5.0
FACTOR = 3.5
LONGEST_S = 10 * 3600.0
SPREAD = 0.2
MOST_ATTEMPTS = 15
FAILS_AFTER_S = 5 * 86400.0
LONGEST_ASKED_S = 3600.0  # what a receiver may ask for with Retry-After


def pause_s(attempts: int, spread: float, asked_s: float = 0.0) -> float | None:
    """Seconds from one try to the next; None: there is no next.

    Args:
        attempts: how many there have been, from 1.
        spread: anywhere from 0 to 1.
        asked_s: the receiver asked to be left alone for so long.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    pause = min(LONGEST_S, FIRST_S * FACTOR ** (attempts - 1))
    return max(min(asked_s, LONGEST_ASKED_S), pause * (1 - SPREAD + 2 * SPREAD * spread))
