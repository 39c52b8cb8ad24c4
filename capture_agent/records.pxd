from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from capture_agent.calls cimport Dialog, Transaction
from capture_agent.sip.message cimport SipMessage

cdef class Frames:
    cdef readonly bytes data
    cdef readonly object index
    cdef readonly Py_ssize_t count
    cdef readonly list interfaces
    cdef readonly unsigned long long first_number

cdef class Datagram:
    cdef readonly bytes data
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t address_at
    cdef readonly Py_ssize_t address_size
    cdef readonly int source_port
    cdef readonly int destination_port
    cdef readonly long long time_ns
    cdef readonly unsigned long long frame
    cdef readonly int protocol
    cdef readonly str transport
    cdef readonly int vlan
    cdef readonly object interface
    cdef readonly Py_ssize_t missing
    cdef readonly unsigned int sequence
    cdef readonly int flags
    cdef readonly Py_ssize_t frame_at

    cdef bytes _address(self, int number)
    cpdef bytes cut(self, Py_ssize_t start, Py_ssize_t end)

cdef class CapturedMessage:
    cdef readonly Datagram datagram
    cdef readonly SipMessage sip
    cdef public object direction
    cdef public Transaction transaction
    cdef public Dialog dialog
    cdef public bint retransmission
    cdef readonly long long seen_ns

cdef class Trace:
    cdef readonly unsigned long long sinks
    cdef readonly bytes correlation_id
    cdef readonly tuple users
    cdef readonly str table
    cdef readonly bint plain_row
    cdef readonly int payload_type
    cdef readonly str rule
    cdef readonly tuple masks

cdef class TracedMessage:
    cdef readonly CapturedMessage message
    cdef readonly object direction
    cdef readonly Trace trace
    cdef readonly unsigned long long sinks

cpdef Datagram new_datagram()
cpdef CapturedMessage captured(Datagram datagram, SipMessage sip)
cpdef TracedMessage traced(CapturedMessage message, object direction, Trace trace, unsigned long long sinks)
