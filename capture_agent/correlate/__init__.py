"""Finds the transaction and dialog of each message (docs/decisions/correlation.md).

correlator.py   the stage: transaction and dialog of each message; whether it is a retransmission
updating.py     the changes that a message makes there
transitions.py  tables: which message changes which state
calls_table.py  every Call-ID with its transactions and dialogs; bounds and expiry
index.py        calls by their Call-ID
ahead.py        prefetches the memory that comes next
queues.py       the calls in the order of their expiry
tally.py        how many there are, and what happened to the others
marks.py        methods and marks of messages, as numbers
tags.py         tags, as offsets
vias.py         the path of a request by its Via headers: spirals
timers.py       timers and bounds
"""
