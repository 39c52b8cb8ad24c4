"""Between the pipeline and the sinks.

outbox.py    live: a bounded queue and a thread for each sink, and its accounts
direct.py    replay: no queue, the source waits for the sink
weight.py    (hot) the memory that waiting messages hold
parallel.py  opens and closes several sinks at once
"""
