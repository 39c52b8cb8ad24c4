"""Decides from tables of error numbers whether a failing database refuses a row or is down.

Sources: PostgreSQL's appendix A (SQLSTATE), MariaDB's and MySQL's error references, SQLite's result codes.
"""

from __future__ import annotations

from enum import Enum

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError


class Verdict(Enum):
    REFUSED = "refused"  # caused by this row's values: the next row may pass
    OUTAGE = "outage"  # the database reports that it cannot work now: every row waits
    CONFLICT = "conflict"  # with another transaction, which is over by the next attempt
    TIMEOUT = "timeout"  # no answer, or too late
    LOST = "lost"  # the connection ended: an outage, or a reaction to a row (max_allowed_packet)
    DOUBTED = "doubted"  # OUTAGE, CONFLICT, TIMEOUT or LOST, reported at once on a connection that still works
    UNKNOWN = "unknown"  # a missing table or permission, an internal error: rows are tried one by one


# A trigger may use any of these numbers for a refusal (SIGNAL, RAISE ... USING ERRCODE).
NOT_ITS_ROW = (Verdict.OUTAGE, Verdict.CONFLICT, Verdict.TIMEOUT, Verdict.LOST)

# Seconds until an answer, for a transaction plus each of its messages. A later answer has waited for a lock or disk.
AT_ONCE = 0.5
AT_ONCE_EACH = 0.002


class FileGone(Exception):
    """A SQLite file was deleted while a batch was written into it."""


# The longest matching prefix counts.
SQLSTATES = {
    "08": Verdict.LOST,
    "09": Verdict.REFUSED,  # in a trigger
    "20": Verdict.REFUSED,
    "21": Verdict.REFUSED,
    "22": Verdict.REFUSED,
    "23": Verdict.REFUSED,  # constraints; no partition for this row
    "25006": Verdict.OUTAGE,  # read-only
    "25P02": Verdict.UNKNOWN,
    "25P03": Verdict.LOST,  # idle in transaction for too long
    "25P04": Verdict.TIMEOUT,
    "27": Verdict.REFUSED,
    "2F": Verdict.REFUSED,
    "38": Verdict.REFUSED,
    "39": Verdict.REFUSED,
    "40": Verdict.CONFLICT,  # serialization, deadlock
    "40003": Verdict.LOST,  # statement completion unknown
    "44": Verdict.REFUSED,
    "53": Verdict.OUTAGE,  # disk full, out of memory, too many connections
    "54": Verdict.REFUSED,  # a row too large for its index
    "55": Verdict.UNKNOWN,
    "55006": Verdict.OUTAGE,
    "55P03": Verdict.OUTAGE,  # lock_timeout
    "57": Verdict.OUTAGE,  # shutting down, starting
    "57014": Verdict.TIMEOUT,  # statement_timeout
    "57P01": Verdict.LOST,  # pg_terminate_backend
    "57P05": Verdict.LOST,  # idle for too long
    "58": Verdict.OUTAGE,  # I/O error
    "P0": Verdict.REFUSED,  # RAISE EXCEPTION in a trigger
    "XX001": Verdict.OUTAGE,  # a damaged table
    "XX002": Verdict.OUTAGE,
}

MYSQL_NUMBERS = {
    number: verdict
    for verdict, numbers in {
        Verdict.OUTAGE: (
            # files and disk
            3, 1015, 1016, 1020, 1021, 1024, 1026, 1030, 1034, 1035, 1036, 1114, 1180, 1194, 1195,
            # memory, connections, limits
            1037, 1038, 1040, 1041, 1129, 1135, 1203, 1206, 1226, 1637,
            # locks
            1099, 1100, 1205, 1223,
            # read-only, shutting down, a Galera node that is not ready
            1047, 1053, 1290, 1792, 1836, 3168,
        ),
        Verdict.CONFLICT: (1213, 1412, 1614, 1615),
        Verdict.TIMEOUT: (1317, 1969, 3024),
        Verdict.LOST: (
            1077, 1078, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927,
            2002, 2003, 2006, 2013, 2014, 2055, 4031,
        ),
        Verdict.REFUSED: (
            # values and constraints
            1022, 1048, 1062, 1169, 1216, 1217, 1263, 1264, 1265, 1292, 1300, 1364, 1365, 1366, 1406, 1411, 1416,
            1451, 1452, 1557, 1586, 1690, 1761, 1762, 3819, 4025, 3140,
            # no partition for this row
            1526, 1748, 1591,
            # too large
            1118, 1153, 1162, 1197, 1301,
            # triggers and views
            1172, 1242, 1329, 1369, 1422, 1442, 1643, 1644,
        ),
    }.items()
    for number in numbers
}  # fmt: skip

SQLITE_CODES = {  # the low byte of an extended code
    1: Verdict.UNKNOWN,  # SQLITE_ERROR: a missing table or column
    2: Verdict.UNKNOWN,  # INTERNAL
    3: Verdict.OUTAGE,  # PERM
    4: Verdict.OUTAGE,  # ABORT
    5: Verdict.OUTAGE,  # BUSY
    6: Verdict.OUTAGE,  # LOCKED
    7: Verdict.OUTAGE,  # NOMEM
    8: Verdict.OUTAGE,  # READONLY
    9: Verdict.OUTAGE,  # INTERRUPT
    10: Verdict.OUTAGE,  # IOERR
    11: Verdict.OUTAGE,  # CORRUPT
    13: Verdict.OUTAGE,  # FULL
    14: Verdict.OUTAGE,  # CANTOPEN
    15: Verdict.OUTAGE,  # PROTOCOL
    17: Verdict.CONFLICT,  # SCHEMA
    18: Verdict.REFUSED,  # TOOBIG
    19: Verdict.REFUSED,  # CONSTRAINT, also RAISE() in a trigger
    20: Verdict.REFUSED,  # MISMATCH
    22: Verdict.OUTAGE,  # NOLFS
    25: Verdict.REFUSED,  # RANGE
    26: Verdict.OUTAGE,  # NOTADB
}


def verdict_of(error: Exception) -> Verdict:
    """The verdict on an exception of SQLAlchemy, a driver, or the making of a row."""
    if isinstance(error, FileGone):
        return Verdict.LOST
    cause: object = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, ValueError | OverflowError):
        return Verdict.REFUSED  # no driver can transmit this value; UnicodeError is a ValueError
    if timed_out(cause):
        return Verdict.TIMEOUT
    found = by_number(cause)
    if found is not None:
        return found
    if isinstance(error, DataError | IntegrityError):
        return Verdict.REFUSED
    if isinstance(error, InterfaceError) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return Verdict.LOST
    return Verdict.UNKNOWN


def timed_out(cause: object) -> bool:
    """PyMySQL raises its "lost connection" out of the socket's TimeoutError; database.py's own is one."""
    return any(isinstance(getattr(cause, name, None), TimeoutError) for name in ("__context__", "__cause__"))


def by_number(cause: object) -> Verdict | None:
    if hasattr(cause, "sqlite_errorcode"):
        return SQLITE_CODES.get(int(cause.sqlite_errorcode) & 0xFF)
    arguments = getattr(cause, "args", ())
    if arguments and isinstance(arguments[0], int):
        if arguments[0] == 0:  # PyMySQL's InterfaceError on a connection that is closed
            return Verdict.LOST
        return MYSQL_NUMBERS.get(arguments[0])
    state = getattr(cause, "sqlstate", None)
    if state is None:  # libpq's own text
        return Verdict.LOST if type(cause).__name__ == "OperationalError" else None
    return next((SQLSTATES[state[:n]] for n in (5, 2) if state[:n] in SQLSTATES), None)


def is_doubtful(verdict: Verdict, error: Exception, seconds: float, count: int) -> bool:
    """Whether the error of a transaction of `count` messages may concern one of them, if its connection still works.

    Not in SQLite, where RAISE() has a separate code.
    """
    if hasattr(getattr(error, "orig", None), "sqlite_errorcode"):
        return False
    at_once = seconds < AT_ONCE + AT_ONCE_EACH * count
    return verdict in NOT_ITS_ROW and at_once and isinstance(error, DBAPIError) and not error.connection_invalidated
