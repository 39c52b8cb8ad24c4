"""Media of traced calls: RTCP and RTP, found by the session descriptions that announced it. Only with [media].

media_sorting.py   (hot) takes RTCP and RTP out of the datagrams, before ports are looked at
media_addresses.py session descriptions to the addresses and ports of media
media_table.py     which call has announced an address and port
rtcp.py            the packets of a datagram; each length is checked
rtcp_json.py       what they report, as Homer's pages read it
rtp_formats.py     payload types of a media line: codecs and clock rates
rtp_table.py       (hot) which streams there are, and when they are reported
rtp_stream.py      (hot) what is counted of each packet of a stream
rtp_measuring.py   from packets of RTP to reports
stream_figures.py  what a report says of one RTP stream
e_model.py         R factor and MOS of a stream
call_directions.py whether a call has media in the directions that it wants
quality_counts.py  distributions of streams and calls, by peer
rtp_json.py        the report as JSON, as Homer's pages read it, and back
media_stage.py     all of it, in packet time
quality_reports.py SIP PUBLISH with the report of a phone, as one of its call

No I/O, no clock.
"""
