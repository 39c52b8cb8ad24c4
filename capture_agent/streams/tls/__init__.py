"""Decrypts TLS with secrets that one of its ends has logged, or the server's RSA key: a layer between TCP and content.

tls_layer.py          the layer: records of one direction, gaps, records that wait for their keys
record_search.py      the next record after a gap
record_headers.py     what begins like TLS
tls_connections.py    what all connections share: keys, what waits, the account
tls_direction.py      which keys hold for which records of a direction
handshake.py          what both ends say in one handshake, and the secret that follows with a private key
hello.py              the messages of the handshake
record_protection.py  decrypts a record
key_schedule.py       from secrets to keys
cipher_suites.py      what can be decrypted
key_store.py          the secrets, from key logs and handshakes
private_keys.py       RSA keys of servers

`decrypting` in tls_layer.py has what pipeline.py needs. Without keys nothing here is imported: cryptography is an
extra.
"""
