"""Between the pipeline and the sinks.

standing.py        what the operator of a sink wants to know of it
outbox.py          live: a bounded queue and a thread for each sink, and its ledger
outages.py         when a sink is down, and what that costs
spooled_outbox.py  the same with a spool: what the sink cannot take waits on disk
handed_over.py     what a sink with a spool has and has not confirmed: that may come back
spool/             that file
direct.py          replay: no queue, the source waits for the sink
routes.py          hands each message to its sinks
sink_groups.py     which members of a group get a message, and what waits for one that is down
rendezvous.py      (hot) the choice of a member by hash
unconfirmed_messages.py  messages that a sink has taken and may give back
detours.py         messages that a datagram cannot hold go to another sink
sink_account.py    outcomes of messages here, as names in a sink's ledger
weight.py          (hot) memory held by waiting messages
"""
