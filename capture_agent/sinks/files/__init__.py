"""Sinks that write files.

file_names.py      names of files from a pattern with {date}, {time} and {call_id}
rotating_files.py  files that are rotated, compressed and deleted by age and size
open_file.py       one that is open: opened, locked, written to
call_files.py      those of calls that were closed
part_mark.py       the mark of files that are being written
kept_files.py      the files of a pattern that are on the disk, and which of them are deleted
member_files.py    files of gzip members or zstd frames
file_sink.py       what the sinks have in common: a batch becomes writes, one after the other
jsonl_sink.py      one JSON object per message
pcap_sink.py       capture files: captured frames, or rebuilt ones
saving.py          messages as one capture file
capture_formats.py pcapng and pcap
packets.py         messages as packets, with headers and checksums
"""
