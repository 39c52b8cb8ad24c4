"""Timers, and the limits of every table here."""

from capture_agent.sip.timer_values import TRANSACTION_NS

SECOND_NS = 1_000_000_000

# Messages are repeated so long after a final response.
SETTLED_NS = TRANSACTION_NS
# An INVITE without any response: 64*T1 at each of a few proxies.
CALLING_NS = 180 * SECOND_NS
# A ringing INVITE. Every provisional response restarts a proxy's timer C, of 3 minutes or more (RFC 3261 16.6).
RINGING_NS = 600 * SECOND_NS

# How long after it was queued a call is checked: longer than SETTLED_NS, so that most have ended by then.
SETTLING_NS = 36 * SECOND_NS
RESTING_NS = 300 * SECOND_NS

# Limits per Call-ID. The oldest is evicted.
MOST_TRANSACTIONS = 32
MOST_DIALOGS = 16
# Memory in units (UNIT): of a call with its places in queue and index, and of a transaction and a dialog without their
# texts; in the plain build, with the numbers in them, which are objects. tests/limits measures them.
COMPILED_UNITS = (9, 13, 8)
PLAIN_UNITS = (14, 24, 38)

# Bytes that are compared; Kamailio's table has 255 for a Call-ID and 128 for a tag.
MOST_OF_CALL_ID = 255
MOST_OF_TAG = 128
MOST_OF_METHOD = 32

# Vias of a request that are examined. Max-Forwards starts at 70 (RFC 3261 8.1.1.6).
MOST_VIAS = 70
