"""What people see of calls: one model for the text commands, the terminal, the page and the library. Pure.

call.py            all messages with one Call-ID, summed up   call_state.py   what became of it, in a word
call_book.py       all calls, bounded; their legs; what has changed since one looked
call_store.py      calls with their messages, for views that stay open: filled by one thread, read by others; masks
call_filter.py     the filter of calls                       call_object.py  a call as an object for JSON
ladder.py          messages as a ladder: participants, arrows, media
media_marks.py     RTP streams on a ladder: where each begins, is silent for long, and ends
ladder_text.py     drawn as text                              ladder_svg.py   as a picture
ladder_page.py     as an HTML file                            ladder_exports.py  as Mermaid, for JSON; in any form
details.py         a message in parts by grammar; the difference between two
sdp.py             session descriptions: media, codecs, each line explained
traffic_figures.py  figures of many messages and calls
aliases.py         names of endpoints                         message_label.py  a message in a few words
time_text.py       times in a zone, since the start, since the last message
text.py            makes text from the network safe for a terminal, and tables of it
"""
