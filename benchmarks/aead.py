"""The library's AEAD alone: the records of the TLS row, without TCP, TLS or SIP around them.

python -m benchmarks.aead 200000        prints CPU seconds and seconds of the decryption alone
"""

from __future__ import annotations

import sys
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.traffic import Truth, carried_messages

KEY, NONCE, HEADER = bytes(32), bytes(12), b"\x17\x03\x03\x00\x00"
APPLICATION_DATA = b"\x17"
AT_ONCE = 1000


def main() -> None:
    """As OpenSSL does by default: AES-256-GCM, a record for each message, with the type of its content."""
    aead = AESGCM(KEY)
    cpu = wall = 0.0
    records: list[bytes] = []

    def measure() -> None:
        nonlocal cpu, wall
        began = time.process_time(), time.perf_counter()
        for record in records:
            aead.decrypt(NONCE, record, HEADER)
        cpu += time.process_time() - began[0]
        wall += time.perf_counter() - began[1]
        records.clear()

    for message in carried_messages(int(sys.argv[1]), "tls", Truth()):
        records.append(aead.encrypt(NONCE, message.data + APPLICATION_DATA, HEADER))
        if len(records) == AT_ONCE:
            measure()
    measure()
    print(cpu, wall)


if __name__ == "__main__":
    main()
