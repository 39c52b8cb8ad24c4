"""Messages of one sink on disk, while the sink cannot take them or the agent does not run.

packet_layout.py  a message as HEP3 packets with chunks of our own
packing.py unpacking.py  a message to packets, and back
batch_compression.py  batches take less of the disk
spool_file.py    a SQLite file of batches, in order; spool_rows.py: what its tables say, also if they are damaged
spool_lock.py    the file beside it, which keeps others out; spool_error.py: what can be wrong
spool.py         the file as a sink's queue uses it: bounded, counted, and never an error of its caller
spool_place.py   which file a sink has
spool_capture.py a spool as a capture, for the commands that read files; spool_or_capture.py: which of them a file is
"""
