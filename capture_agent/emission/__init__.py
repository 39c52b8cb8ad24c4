"""Changes to everything that is emitted, whichever rule traced it.

emission.py   the stage: applies masks and address rewriting
privacy.py    the masks of [privacy] and of rules
users.py      the user parts and display names that masks hide
rewriting.py  messages with other bytes or other addresses

No I/O, no clock.
"""
