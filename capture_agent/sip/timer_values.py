"""Times of SIP's timers, in nanoseconds (RFC 3261 17, table 4)."""

# 64*T1: so long a message may be repeated after a final response, and, except for INVITE, before one.
TRANSACTION_NS = 32_000_000_000
