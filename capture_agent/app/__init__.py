"""The running agent.

agent.py       builds the pipeline, sinks and sources from the configuration; `replay` and `run`
extensions.py  loads user code: hooks, conditions, and the sinks and sources of packages
watcher.py     reports losses and outages in the log while the agent runs
"""
