"""From frames to the payloads of the transport layer.

decoder.py  the fast path (hot): Ethernet and VLAN tags, Linux cooked v1 and v2, raw IP, BSD loopback,
            IPv4, IPv6 with its extension headers, UDP, TCP, SCTP; it calls the others for rare cases
defrag.py   reassembles IP datagrams from fragments in any order: bounded, and every fragment is accounted for
tunnels.py  all other encapsulations in tables, by ethertype, IP protocol, UDP port and link type; each decoder returns
            the inner packet as inner.py defines it: behind_ethertype.py (MPLS, PPP), behind_ip.py (GRE, ERSPAN, AH),
            behind_udp.py (VXLAN, Geneve, GTP-U, TZSP), esp.py (NULL encryption), link_layers.py, wireless.py (802.11)
exported.py PDUs exported by Wireshark: tags around a payload
link_type_names.py  names of link types that cannot be read
plain_udp.py  plain build: reads the usual kinds of frames in one step
outer_headers.py  the outer headers of a packet, on request
port_filter.py  turns a list of ports into a filter for libpcap
rejects.py  the counted reasons for rejecting a frame

No I/O, no clock: time is the packet's.
"""
