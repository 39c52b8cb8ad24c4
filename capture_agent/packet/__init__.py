"""From frames to the payloads of the transport layer.

decode.py   the fast path (hot): Ethernet and VLAN tags, Linux cooked v1 and v2, raw IP, BSD loopback,
            IPv4, IPv6 with its extension headers, UDP
defrag.py   IP datagrams from their fragments, in any order: bounded, and each fragment is accounted for
rejects.py  why a frame carries nothing for us: counted, and the place where tunnels and TCP go on from

No I/O, no clock: time is the packet's.
"""
