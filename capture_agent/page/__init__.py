"""The calls as pages in a browser, and as JSON: `capture-agent web`. Read-only.

call_source.py      what pages ask for: calls, messages of calls, what is new
store_source.py     from a CallStore: capture files, live capture        table_source.py  from a sip_trace table
call_query.py       what a request asks for: a search, a filter, a time, a zone
web_pages.py        the pages     web_api.py  the same as JSON     openapi.py  its description     exports.py  files
page_ladder.py      a ladder as a picture with links               plots.py    figures as pictures
live_events.py      server-sent events                             page_application.py  all of it as one application

templates/ and assets/ are in the wheel. Only the command imports these modules: they need the extra `web`.
"""
