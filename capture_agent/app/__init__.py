"""The running agent.

agent.py       one pipeline between the sources and the sinks, and the books at the end
assembly.py    makes the pipeline from the configuration
capturing.py   captures live: opens the interfaces, sockets and sources
interface_keeper.py   keeps the wanted interfaces open, and waits for those that are away
open_sources.py       the sources that are open, and what closed ones have lost
reloading.py   takes another configuration while the agent runs
replaying.py   replays capture files
agent_feed.py  fills the calls of a view with what another agent traces
opened_capture.py  one capture file and its pipeline, for those who show messages
call_feed.py       fills the calls of a view: from files, a table, or live by an agent of its own
decryption.py  where keys of TLS come from
extensions.py  loads user code: hooks, conditions, and the sinks and sources of packages
observing.py   what is asked about it: figures, health
between.py     counters as they are between two batches
heap.py        one heap for all threads
dropping_root.py becomes another user, who keeps CAP_NET_RAW
service_manager.py  notifies systemd: readiness, figures, watchdog
watcher.py     reports losses and outages in the log while the agent runs
"""
