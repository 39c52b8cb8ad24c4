"""Between the pipeline and the sinks.

standing.py      what the operator of a sink wants to know of it
outbox.py        live: a bounded queue and a thread for each sink, and its ledger
direct.py        replay: no queue, the source waits for the sink
routes.py        the way of each message to its sinks
sink_account.py  what becomes of messages there, as names in the ledger of a sink
weight.py        (hot) what waiting messages keep in memory
"""
