"""HEP collectors such as Homer.

hep_sink.py   one HEP packet per message
hep_batch.py  (hot) SIP messages into the encoder's buffer
hep_other.py  the packet of what is not SIP
"""
