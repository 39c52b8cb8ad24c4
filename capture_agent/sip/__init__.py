"""What is SIP and where its parts lie.

message.py   SipMessage: the bounds of the routine parts; everything else is parsed when asked for
scan.py      the one pass over the bytes (hot): is it SIP, and the headers that everything needs
patterns.py  its loops as patterns, for the plain build
plain_scan.py  in the plain build, the scan of messages in which nothing is odd
stranger.py  what a payload is that is no SIP (hot)
parameters.py  tags and branches in header values (hot)
lookup.py    one header's value without parsing the others (hot)
headers.py   header names, compact forms, values: for those who ask for more
x_headers.py  siptrace's own headers in a duplicate
problems.py  why a payload is not SIP (Stranger), and what is wrong with one that is (Problem)

No I/O, no clock, no capture_agent module but these.
"""
