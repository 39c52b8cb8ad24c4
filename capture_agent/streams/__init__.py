"""Extracts SIP messages from TCP segments and SCTP packets; UDP datagrams pass through.

**What an observer can know.** A receiver knows where its peer's stream starts, asks again for what is missing, and
delivers nothing twice. We see what passes one point: a segment that we missed never comes again if the receiver has it,
a segment that we have may never have been accepted, and a connection may be older than the capture. What we can know
is which bytes were seen at which sequence number, what the receiver would have done with them, and where a message of
SIP starts and ends. Each direction of a connection is a `Stream` of its own; nothing here waits for the other one,
except that the response to a WebSocket upgrade says how both are compressed (`learned` and `learn`).

    segments, as captured                                      messages, each with the time of the
          |                                                    segment that completed it
          v                                                                  ^
    +-- tcp.py ----------+    +-- reassembly.py ---+         +-- content.py -+-----------+
    | which connection?  |--->| any order to order |-layers->| what is it? SIP,          |--> outlet.py
    | rivals, parked     |    | held, gaps, joining|         | WebSocket or foreign      |
    +--------------------+    +--------------------+         +---------------------------+

    What the bytes of a direction are (content.py)

           SYN                                               no SYN was seen
            |          a start line, where one may be               |
            v  <--------------------------------------------------  v
           SIP                                                    SEEK -------------------+
            |  -------------------------------------------------->  |                     |
            |     a gap, a length that is refused, not a message    |                     |
            |                                                       | binary from the     |
            | HTTP, before any SIP                                  | start, or 64 KiB    |
            v                                                       v without SIP         |
          HTTP ------- no upgrade, too long, or a gap -------> FOREIGN ---> SIP, HTTP or  |
            |                                                       ^       WEBSOCKET,    |
            | upgrade                                               |       where one     |
            v                                                       |       starts        |
        WEBSOCKET ---- not frames, or a gap after which ------------+                     |
            ^          the next frame cannot be found                                     |
            +---------------- frames whose upgrade was not captured ----------------------+

**Layers.** Everything above reassembly is a `Layer` (layer.py). `deliver` gives it the bytes of one direction in
order, `lose` says how many are missing, `finish` that no more will come. `Content` is the top layer: it emits
messages. A layer in between, for example one that decrypts, is a `Between`: it makes other bytes of what it gets, and
hands them on. It overrides only what differs; the next layer answers the rest. Such a layer is one new file, and one
line in layers.py, where the layers of a connection are put together. No other layer changes.

Bytes come with their origin: while a layer is called, `outlet.carrier` is the segment that completed them. `hand_on`
makes a carrier for the next layer: the new bytes with the time, ports and frame of the old one, and another transport
if the layer wants so. A message has the time and addresses of the carrier with which it was completed.

Objects own others, and inherit nothing: `Streams` has a `Stream` for each direction, which has a `Reassembly` and, if
others claim its ports, a `Contest`; a `Reassembly` has its lowest `Layer`. The .pxd files give all of them their
types, and all are final except for `Layer` and `Between`. So only calls of a layer are virtual, and in Python a layer
can be written as well as in C. The bodies of `Layer` are those of a layer that reads nothing; no method fails when it
is called.

**What is forgiven.**

* Lost. Bytes after a gap wait for those before them, for `PATIENCE_NS` of packet time, up to `MAX_HELD_BYTES` and
  `MAX_HELD` pieces. Then the gap is skipped. A message with a gap in it is `broken`; if its length is known and the gap
  ends within it, the next one is found by that, else by the next start line.
* Captured twice, sent again, overlapping. Of bytes that come twice the first stay. A segment with nothing new is
  `retransmitted`.
* Reordered. Bytes go on in order, whatever the order of the segments. This holds where a stream was joined in the
  middle, too: what was passed by before the first boundary is kept for a while, as its message may start in a segment
  that comes late (joining.py). Only `Content` itself can use such bytes: with a layer in between they count as
  retransmitted.
* Joined in the middle. A stream without a SYN starts at its first payload, in SEEK. What looks like a start line within
  a body should not be taken for one, so a line is only believed where a message may begin (boundary.py).
* Ignored by real ends (RFC 5961). An RST counts at the next byte that is awaited, or right after bytes that wait. A SYN
  on an open connection, and a segment too far from where the stream is, are a `Rival`: it has the ports once a second
  segment follows the first, or once it has waited for `PATIENCE_NS`. The connection before it is `Parked`, and is
  exchanged back if it goes on (rivals.py).
* Cut by the snap length. A message goes out as far as it was captured, and the stream goes on after it.
* Wrong times. Waiting and idleness are counted by one clock for all packets (clock.py), so that one packet with a wrong
  time ends nothing. On a stream the time of messages grows, if no clock was put back by ten seconds or more.

SCTP keeps the boundaries of messages, so there is nothing to seek: chunks are joined by their numbers. The verification
tag shows which association is real; another one on the same addresses and ports is a rival until it convinces
(sctp_direction.py).

**What always holds.**

* A layer gets each byte once at most, and in order. `deliver` and `lose` together leave no hole, except where the
  stream is FOREIGN and its order does not matter any more (`needs_order`).
* Each segment, and each chunk, is in exactly one account at every moment: `waiting` is one of them (counts.py).
* SIP goes out as it was captured, never written anew. A message that lies in one segment shares its buffer.
* What is kept is bounded for one direction and for all of them, in entries and in bytes, with what CPython takes on top
  (limits.py). The least recently used direction is evicted: what is complete in it comes out, the rest is counted.
* No I/O, no clock: time is the packet's.

Modules:

streams.py         (hot) `Streams`: the connections of one source, bounded; what pipeline.py has
connection_keys.py (hot) which direction of which connection a segment belongs to
tcp.py             (hot) one direction of a connection: how it starts and ends
rivals.py          other connections on the same ports, until it is known which one is real
reassembly.py      (hot) puts its bytes in order
pieces.py          (hot) segments that wait for those before them
joining.py         a stream joined in the middle: the bytes before the first boundary
layer.py           (hot) what a layer is asked; a layer that reads nothing, and one in between
layers.py          the layers of a connection, put together
hep_framing.py     HEP on connections, where it is asked for
content.py         (hot) what a stream carries: SIP, WebSocket, something else
sip_stream.py      (hot) consecutive SIP messages
framing.py         (hot) start lines, header sections, Content-Length
boundary.py        where SIP begins after non-SIP bytes
websocket.py       RFC 6455 frames, RFC 7692 compression
outlet.py          (hot) emits messages, with the time of the segment that completed them
counts.py          (hot) what happened to every segment, and what did not become a message
limits.py          all limits, and the reasons why a segment is left out
tls/               decrypts: a layer between TCP and what it carries
sctp.py            user messages from DATA and I-DATA chunks: a message in a single chunk is not copied
sctp_chunk.py      one DATA or I-DATA chunk: its user data, why it may be refused, which part of a message it is
sctp_direction.py  which tag and sequence numbers the receiver accepts; others compete until enough of them have arrived
sctp_packet.py     verification tag, addresses and ports of a packet
sctp_fragments.py  messages in several chunks: joined in whatever order the chunks come
"""
