"""Between the pipeline and the sinks.

standing.py        what the operator of a sink wants to know of it
outbox.py          live: a queue and a thread for each sink
message_queue.py   that queue, bounded in messages and bytes
sink_books.py      what has become of the messages that an outbox was given: its ledger
handed_over.py     what a sink has and has not confirmed: that may come back
moving.py          what waits for a sink that is down moves to others of its groups
outages.py         when a sink is down, and what that costs
spooled_outbox.py  the same with a spool: what the sink cannot take waits on disk
spool_writer.py    the thread that writes there
back_to_spool.py   what a sink has not confirmed goes back there
spool/             that file
direct.py          replay: no queue, the source waits for the sink
routes.py          hands each message to its sinks
sink_groups.py     which members of a group get a message, and what waits for one that is down
rendezvous.py      (hot) the choice of a member by hash
detours.py         messages that a datagram cannot hold go to another sink
sink_account.py    outcomes of messages here, as names in a sink's ledger
weight.py          (hot) memory held by waiting messages
"""
