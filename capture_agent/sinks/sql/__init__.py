"""The sip_trace table of a SQLite, PostgreSQL, MySQL or MariaDB database.

sql_sink.py         the sink                                trace_rows.py    values in the form of each database
trace_tables.py     the tables that it writes into          row_makers.py    the form for a database and table
row_maker.py        a message as rows (compiled)
sip_trace_table.py  the definition of the table             schema.py        `db create`
database.py         connections, and errors in one line     deadlines.py     their timeouts
destinations.py     inserts, and looking up lost commits    sqlite_file.py   a SQLite file's mode and rotation
verdicts.py         error numbers: a refusal or an outage   dividing.py      finds the refused row in a batch
refusals.py         log lines about refused rows            table_check.py   `db check`: what is wrong with a table
upgrade.py          `db upgrade`                            purge.py         `db purge`
partitions.py       `db partition`                          refused_file.py  messages whose rows were refused
"""
