cimport cython

from capture_agent.records.dialog cimport (
    BYTES_MORE, DIALOG_CONFIRMED, DIALOG_EARLY, SHIFT, TRANSACTION_CALLING, TRANSACTION_PROCEEDING, UNIT,
    Dialog, Transaction,
)
from capture_agent.correlate.ahead cimport AT_ONCE, Ahead
from capture_agent.correlate.index cimport Index
from capture_agent.correlate.queues cimport Call, Queue
from capture_agent.correlate.marks cimport call_key
from capture_agent.correlate.tally cimport Tally
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.sip.message cimport SipMessage

cdef class CallsTable:
    cdef readonly Py_ssize_t limit
    cdef readonly Tally calls
    cdef readonly Tally transactions
    cdef readonly Tally dialogs
    cdef long long _idle_ns
    cdef long long _age_ns
    cdef Py_ssize_t _most_units
    cdef Index _index
    cdef Ahead _ahead
    cdef Queue _settling
    cdef Queue _resting

    cpdef close(self)
    cdef bint foresee(self, list[CapturedMessage] messages, Py_ssize_t first, int count) except -1
    cdef Call call(self, SipMessage sip, int number, long long now_ns)
    cdef Call _make(self, unsigned long long key, long long now_ns)
    cdef bint add_transaction(self, Call call, Transaction transaction, long long now_ns) except -1
    cdef bint add_dialog(self, Call call, Dialog dialog, long long now_ns) except -1
    cpdef bint note_growth(self, SipMessage sip, object belongs_to, int units) except -1
    cdef bint holds_transaction(self, Transaction transaction, long long now_ns) except -1
    cdef bint holds_dialog(self, Dialog dialog, long long now_ns) except -1
    cpdef clean(self, long long now_ns, Py_ssize_t most)
    cdef bint _look_through(self, Queue queue, long long period_ns, long long now_ns, Py_ssize_t most) except -1
    cdef bint _prune_transactions(self, Call call, long long now_ns, int most) except -1
    cdef bint _prune_dialogs(self, Call call, long long now_ns, int most) except -1
    cdef bint grown(self, Call call, int units) except -1
    cdef bint _make_room(self, Call spared, long long now_ns) except -1
    cdef bint _evict(self, Queue queue, Call spared, long long now_ns) except -1
    cdef bint _take_apart(self, Call call) except -1
