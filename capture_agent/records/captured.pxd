from capture_agent.records.datagram cimport Datagram
from capture_agent.records.dialog cimport Dialog, Transaction
from capture_agent.sip.message cimport SipMessage

cdef class CapturedMessage:
    cdef readonly Datagram datagram
    cdef readonly SipMessage sip
    cdef readonly object origin
    cdef public Transaction transaction
    cdef public Dialog dialog
    cdef public bint retransmission
    cdef public int found_direction
    cdef readonly long long seen_ns

cpdef CapturedMessage captured(Datagram datagram, SipMessage sip)
