"""The interactive terminal: `capture-agent view`, on Textual. What it shows is of capture_agent/view/.

view_app.py       the application         sight.py   what its parts share
list_screen.py    the calls               call_list.py  their list       call_rows.py  which, and in which order
ladder_screen.py  calls as a ladder       ladder_view.py  its arrows     text_view.py  messages, differences
filter_screen.py  filters   save_screen.py  calls to files   columns_screen.py  columns of the list
quit_screen.py    the question before the end      field_dialog.py  what these boxes share
text_screens.py   help, figures           bars.py  the lines on top and at the bottom
line_view.py      a list that renders only its visible lines
look.py           colours, signs, text that a terminal may have
"""
