"""Files that people mistake for captures, by their first bytes, and what to do with them."""

from __future__ import annotations

CONVERT = "convert it with `editcap FILE new.pcapng` first"
UNPACK = "unpack it first"
TWICE = "the capture is compressed twice: unpack it once"  # a file that is compressed once never gets here

# First bytes · what it is · what to do
OTHER_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"GMBU", "a Microsoft Network Monitor 2 capture", CONVERT),
    (b"RTSS", "a Microsoft Network Monitor 1 capture", CONVERT),
    (b"snoop\0\0\0", "a Solaris snoop capture", CONVERT),
    (b"XCP\0", "a NetXRay capture", CONVERT),
    (b"TRSNIFF data", "a Sniffer capture", CONVERT),
    (b"\nvwr", "a Visual Networks capture", CONVERT),
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"\x1f\x9d", "compress(1) data", UNPACK),
    (b"\x1f\x8b", "gzip data", TWICE),
    (b"BZh", "bzip2 data", TWICE),
    (b"\xfd7zXZ\0", "xz data", TWICE),
    (b"\x28\xb5\x2f\xfd", "Zstandard data", TWICE),
    (b"\x04\x22\x4d\x18", "LZ4 data", TWICE),
    (b"\x02\x21\x4c\x18", "LZ4 data in the legacy format", UNPACK),
    (b"\x5d\0\0", "lzma(1) data", UNPACK),
    (b"SQLite format 3\0", "a SQLite database", "list its calls with `capture-agent calls --db sqlite:///FILE`"),
)
TEXT_HINT = "a text file; `text2pcap` makes a capture of a hex dump"
SIPDUMP = b"====================\ntag"
SIPDUMP_HINT = (
    'text of Kamailio\'s sipdump module; let the module write pcap files instead: modparam("sipdump", "mode", 4)'
)


def described(head: bytes) -> str:
    """The format of a file that begins with these bytes, and what to do; empty if unknown."""
    for magic, what, advice in OTHER_FORMATS:
        if head.startswith(magic):
            return f"{what}; {advice}"
    if head.startswith(SIPDUMP):
        return SIPDUMP_HINT
    return TEXT_HINT if head and all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in head) else ""
