"""Messages to the transactions and dialogs that they belong to (docs/decisions/correlation.md).

correlator.py   each message: what it belongs to, and whether it was sent before
updating.py     what it changes there
transitions.py  which message changes which state, as tables
calls_table.py  every Call-ID with its transactions and dialogs: bounded, and what ends them
index.py        calls by their Call-ID
ahead.py        what comes next, asked of memory before its turn
queues.py       the calls, and the order in which their time is over
tally.py        how many there are, and what became of the others
marks.py        methods and marks of messages, as numbers
tags.py         tags, as bounds
vias.py         the way of a request by its Via headers: spirals
timers.py       timers and bounds
"""
