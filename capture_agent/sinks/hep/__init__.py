"""HEP collectors such as Homer.

hep_sink.py   one HEP packet per message
hep_batch.py  (hot) encodes SIP messages into the encoder's buffer
hep_other.py  packets of messages that are not SIP
hep_compressed.py  packets with a compressed payload
hep_size.py   whether a packet is longer than a datagram may be
keep_alive.py a packet for idle connections
"""
