cimport cython

from capture_agent.records.dialog cimport (
    BYTES_MORE, DIALOG_CONFIRMED, DIALOG_EARLY, NEW_BUT_FORGOTTEN, SHIFT, TRANSACTION_CALLING, TRANSACTION_COMPLETED,
    TRANSACTION_CONFIRMED, TRANSACTION_TRYING, Dialog, Transaction,
)
from capture_agent.correlate.ahead cimport AT_ONCE
from capture_agent.clock cimport Clock
from capture_agent.correlate.calls_table cimport CallsTable
from capture_agent.correlate.updating cimport note_request, note_response
from capture_agent.correlate.queues cimport Call
from capture_agent.correlate.marks cimport cut, hop_of, mark_of
from capture_agent.correlate.tags cimport Tags
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.methods cimport kind_of

cdef class Correlator:
    cdef readonly CallsTable table
    cdef readonly Clock clock
    cdef readonly unsigned long long seen
    cdef readonly unsigned long long correlated
    cdef readonly unsigned long long no_call_id
    cdef readonly unsigned long long no_cseq
    cdef readonly unsigned long long retransmissions
    cdef readonly unsigned long long unmarked
    cdef Tags _tags

    cdef bint _observe(self, CapturedMessage message, int number) except -1
    cdef Transaction _transaction_of(self, Call call, int kind, SipMessage sip, unsigned long long hop, long long now_ns)
    cdef Transaction _find(self, Call call, int kind, SipMessage sip, long long now_ns)
    cdef bytes _other_method(self, SipMessage sip)
    cdef Transaction _begin(self, Call call, int kind, SipMessage sip, long long now_ns)
    cdef Dialog _find_dialog(self, Call call, int kind, SipMessage sip, long long now_ns)
    cdef Dialog _make_dialog(self, Call call, int kind, SipMessage sip, Transaction transaction, long long now_ns)
    cdef bint _note(self, Transaction transaction, int kind, CapturedMessage message, unsigned long long hop) except -1
