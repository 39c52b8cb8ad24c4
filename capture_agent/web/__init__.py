"""The HTTP door of a running agent: metrics, health, statistics, and the commands of the control socket.

application.py  what is answered: Starlette
access.py       who may ask, and for how much
protocol.py     one connection, by uvicorn, with a deadline for all that it does
door.py         the thread of `run` that listens
http_checks.py       problems of [http] that can be found before it listens

Only who configures it imports these modules: they need the extra `http`.
"""
