"""What is traced, and how.

trace.py      the decision for each message: everything that is SIP, while tracing is on
direction.py  in or out, by which addresses are the server's
emission.py   what is changed in everything that is traced: masks, addresses that are shown as others
privacy.py    the masks   users.py  those of users   rewriting.py  messages with other bytes or addresses
events.py     what is sent without having been captured: log events, messages of commands and hooks
"""
