"""How a running agent is spoken to: commands defined once, and the doors that lead to them.

commands.py  what can be asked: siptrace.status, stats
jsonrpc.py   JSON-RPC 2.0: a document in, a document out
place.py     where the unix socket lies, and how it is taken from an agent that has died
server.py    the door of `run`: a thread that answers on the unix socket
client.py    the other side: what `capture-agent status` does
"""
