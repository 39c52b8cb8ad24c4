cimport cython

from capture_agent.records.dialog cimport Dialog, Transaction
from capture_agent.correlate.marks cimport expires_now, is_terminated
from capture_agent.correlate.tags cimport Tags
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.sip.message cimport SipMessage

cpdef bint note_request(
    Transaction transaction, int kind, CapturedMessage message, unsigned long long hop, Tags tags
) except -1
cpdef bint note_response(Transaction transaction, int kind, SipMessage sip, Tags tags) except -1
