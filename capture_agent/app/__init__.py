"""The running agent.

agent.py       one pipeline between the sources and the sinks, and the books at the end
assembly.py    makes the pipeline from the configuration
capturing.py   captures live: opens the interfaces, sockets and sources
replaying.py   replays capture files
extensions.py  loads user code: hooks, conditions, and the sinks and sources of packages
watcher.py     reports losses and outages in the log while the agent runs
"""
