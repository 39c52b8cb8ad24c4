"""The sip_trace table as a source of calls and messages, for `view`. Nothing here imports the command line.

stored_calls.py  the calls in a sip_trace table        stored_times.py  its times, converted to UTC
stored_rows.py   its rows, from one snapshot           stored_text.py  its text columns, compared byte for byte
stored_messages.py  its rows as captured messages
"""
