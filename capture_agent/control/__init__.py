"""Control of a running agent: the commands, and the socket that accepts them.

commands.py  the commands, in one table for the unix socket and HTTP
jsonrpc.py   JSON-RPC 2.0: a document in, a document out
place.py     the path of the unix socket, and taking it over from a dead agent
server.py    the thread of `run` that answers on the unix socket
onlookers.py what was traced lately, while somebody looks on
client.py    the client, for `capture-agent status`
http_line.py agent_url.py   the client of the HTTP door, for `capture-agent web`
"""
