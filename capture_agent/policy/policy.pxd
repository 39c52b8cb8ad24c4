cimport cython
from capture_agent.policy.hooks cimport Hooks
from capture_agent.policy.rules cimport Rules
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.records.origin cimport Origin
from capture_agent.records.traced cimport Trace, TracedMessage, traced

cdef class Policy:
    cdef public bint on
    cdef readonly object settings
    cdef readonly Hooks hooks
    cdef readonly unsigned long long traced
    cdef unsigned long long _not_traced
    cdef unsigned long long _crowded_before
    cdef readonly object side
    cdef frozenset _hosts
    cdef bint _simple
    cdef bytes _last_bytes
    cdef Trace _trace
    cdef object _in
    cdef object _out
    cdef Rules _rules
    cdef object _lookback
    cdef object _legs

    cdef list _decide_by_rules(self, Rules rules, object messages)
    cdef bint _ask_hooks(
        self, Hooks hooks, Rules rules, object chosen, CapturedMessage message, object direction, object traces
    ) except -1
    cdef TracedMessage _with_leg(self, TracedMessage one)
    cdef bint _held(self, Rules rules, CapturedMessage message, object direction, object given) except -1
    cdef bint _emit(
        self, object chosen, CapturedMessage message, object direction, object traces, unsigned long long given
    ) except -1
    cdef bint _release(self, Rules rules, object lookback, object chosen, CapturedMessage message) except -1
    cdef object _said(self, CapturedMessage message)
    cdef object _direction(self, CapturedMessage message)
    cdef bint _is_host(self, Datagram datagram, Py_ssize_t at, Py_ssize_t size) except -1
    cdef object _with_ports(self, Datagram datagram)
