"""The calls as pages in a browser, and as JSON: `capture-agent web`. Read-only.

call_source.py       what pages ask for: calls, messages of calls, what is new
store_source.py      from a CallStore: capture files, live capture
table_source.py      from a sip_trace table
call_query.py        what a request asks for: a search, a filter, a time, a zone
call_answers.py      calls with their ladder, for a page or as JSON
page_setting.py      what pages and API have in common
web_pages.py page_rendering.py   the pages, by templates
page_ladder.py       a ladder as a picture with links
plots.py             figures as pictures
exports.py           files to take away
web_api.py openapi.py            the same as JSON, and its description
live_events.py       server-sent events
page_application.py  all of it as one application

templates/ and assets/ are in the wheel. Only the command imports these modules: they need the extra `web`.
"""
