"""Extracts SIP messages from TCP segments and SCTP packets; UDP datagrams pass through.

streams.py         (hot) `Streams`: the connections of one source, bounded; used by pipeline.py
tcp.py             (hot) one direction of a connection: how it starts and ends
rivals.py          other connections on the same ports, until it is known which one is real
reassembly.py      (hot) puts its bytes in order
pieces.py          (hot) segments that wait for those before them
joining.py         a stream joined in the middle: the bytes before the first boundary
content.py         (hot) what a stream carries: SIP, WebSocket, something else
sip_stream.py      (hot) consecutive SIP messages, and the search for the next one
framing.py         (hot) start lines, header sections, Content-Length
boundary.py        where SIP begins after non-SIP bytes
websocket.py       RFC 6455 frames, RFC 7692 compression
outlet.py          (hot) emits messages, with the time of the segment that completed them
counts.py          (hot) what happened to every segment, and what did not become a message
limits.py          all limits, and the reasons why a segment is left out
sctp.py            user messages from DATA and I-DATA chunks: a message in a single chunk is not copied
sctp_direction.py  which tag and sequence numbers the receiver accepts; others compete until enough of them have arrived
sctp_packet.py     verification tag, addresses and ports of a packet
sctp_fragments.py  joins messages in several chunks, in any order of arrival

No I/O, no clock: time is the packet's. Every table is bounded and counts what is evicted.
"""
