"""Decrypts TLS with the secrets that one of its ends has logged: a layer between TCP and what it carries.

tls_layer.py          the layer: records of one direction, gaps, records that wait for their keys
tls_connections.py    what all connections share: keys, what waits, the account
tls_direction.py      which keys hold for which records of a direction
hello.py              the messages of the handshake
record_protection.py  decrypts a record
key_schedule.py       from secrets to keys
cipher_suites.py      what can be decrypted
key_store.py          the secrets, from key logs

`decrypting` in tls_layer.py has what pipeline.py needs. Without keys nothing here is imported: cryptography is an
extra.
"""
