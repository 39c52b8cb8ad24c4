"""Stored and captured calls in readable form. Nothing here imports the command line.

stored_calls.py  the calls in a sip_trace table        outcome.py      how a call or registration ended
stored_rows.py   its rows, from one snapshot           stored_text.py  its text columns, compared byte for byte
stored_times.py  its times, converted to UTC           stored_messages.py  its rows as captured messages
ladder.py        a call as a ladder diagram            readable.py     a message as text, from a table or a file
text.py          makes text from the network safe for a terminal
"""
