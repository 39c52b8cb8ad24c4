"""From frames to the payloads of the transport layer.

decode.py   the fast path (hot): Ethernet and VLAN tags, Linux cooked v1 and v2, raw IP, BSD loopback,
            IPv4, IPv6 with its extension headers, UDP, TCP, SCTP; it asks the others where it meets what is rare
defrag.py   IP datagrams from their fragments, in any order: bounded, and each fragment is accounted for
tunnels.py  all other encapsulations in tables, by ethertype, IP protocol, UDP port and link type; each decoder says
            what lies inside, as inner.py defines it: behind_ethertype.py (MPLS, PPP), behind_ip.py (GRE, ERSPAN, AH),
            behind_udp.py (VXLAN, Geneve, GTP-U, TZSP), esp.py (NULL encryption), link_layers.py, wireless.py (802.11)
exported.py PDUs that Wireshark has exported: tags around a payload
link_type_names.py  what cannot be read, by name
plain_udp.py  in the plain build, what nearly all frames are, read in one go
outer_headers.py  the outer headers of a packet, on request
port_filter.py  a list of ports as a filter for libpcap
rejects.py  why a frame carries nothing for us: each name is counted

No I/O, no clock: time is the packet's.
"""
