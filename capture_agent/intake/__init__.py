"""From payloads to messages: stages, each takes a list and returns a list.

own_traffic.py  drops packets of our own sockets
ports.py        optional: drops traffic on ports other than the configured ones
unwrapping.py   (hot) optional: takes messages out of HEP packets
payloads.py     (hot) payloads to SIP messages; others are counted by kind
copies.py       optional: one copy of a packet that was captured more than once
restore.py      optional: restores the original messages of duplicates with siptrace's x-headers
wanted.py       optional: drops messages that a filter does not match

No I/O, no clock.
"""
