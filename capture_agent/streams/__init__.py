"""From TCP segments and SCTP packets to the SIP messages that they carry; UDP datagrams pass.

streams.py         (hot) `Streams`: the connections of one source, bounded; what pipeline.py has
tcp.py             (hot) one direction of a connection: how it starts and ends
rivals.py          other connections on the same ports, until it is known which one is real
reassembly.py      (hot) its bytes in any order to bytes in order
pieces.py          (hot) segments that wait for those before them
joining.py         where a stream was joined in the middle: what lay before the first boundary
content.py         (hot) what a stream carries: SIP, WebSocket, something else
sip_stream.py      (hot) SIP messages one behind the other, and the search for the next one
framing.py         (hot) start lines, header sections, Content-Length
boundary.py        where SIP begins behind bytes that are none
websocket.py       RFC 6455 frames, RFC 7692 compression
outlet.py          (hot) the messages that come out, with the time of the segment that completed them
counts.py          (hot) what became of every segment, and what did not become a message
limits.py          every bound, and the reasons why a segment is left out
sctp.py            user messages from DATA and I-DATA chunks: one that came in a chunk of its own is not copied
sctp_direction.py  which tag and which numbers its receiver accepts; others compete until enough of them have come
sctp_packet.py     verification tag, addresses and ports of a packet
sctp_fragments.py  those that came in several: joined in whatever order they come

No I/O, no clock: time is the packet's. Every table is bounded and counts what gives way.
"""
