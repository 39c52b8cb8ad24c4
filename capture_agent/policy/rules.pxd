cimport cython
from capture_agent.records.dialog cimport Dialog, Transaction
from capture_agent.policy.conditions cimport Condition
from capture_agent.policy.facts cimport Facts
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.records.traced cimport Trace
from capture_agent.sip.message cimport SipMessage

cdef class CompiledRule:
    cdef readonly str name
    cdef readonly int mode
    cdef readonly bint has_users
    cdef readonly long long lookback_ns
    cdef readonly int number
    cdef readonly unsigned long long sinks
    cdef readonly unsigned long long decided
    cdef frozenset _methods
    cdef bytes _kinds
    cdef bytes _statuses
    cdef tuple _conditions
    cdef object _make
    cdef tuple _alone

    cdef bint matches(self, Facts facts, SipMessage sip) except -1
    cdef tuple start(self, Facts facts, Transaction transaction, Dialog dialog)
    cdef bint has_started(self, object traces) except -1

cdef class Rules:
    cdef readonly list started
    cdef public list grown
    cdef readonly bint undecided
    cdef readonly unsigned long long asked
    cdef readonly bint left_out
    cdef readonly bint has_users
    cdef list _rules
    cdef list _looking_back
    cdef bint _all
    cdef bint _local_failure_acks
    cdef bint _dialog_acks
    cdef bint _asks_for_tag
    cdef Facts _facts
    cdef dict _index
    cdef list _others

    cpdef tuple judge(self, CapturedMessage message, object direction, bint on)
    cdef list _candidates(self, SipMessage sip)
    cdef tuple _existing(self, CapturedMessage message)
    cdef bint _note_growth(self, CompiledRule rule, CapturedMessage message, Trace trace) except -1
    cdef bint _ask_for_more(self, object traces) except -1
    cdef tuple _asked(self, CapturedMessage message, object direction, object traces, bint on)

cdef bint is_ack(SipMessage sip) except -1
cpdef bint is_confirming_ack(CapturedMessage message) except -1
