"""HEP collectors such as Homer.

hep_sink.py   one HEP packet per message and log event
hep_batch.py  (hot) messages into the encoder's buffer
hep_log.py    log events as HEP
"""
