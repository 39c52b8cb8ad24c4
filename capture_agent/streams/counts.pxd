cimport cython

cdef class Counts:
    cdef public unsigned long long bodies_refused
    cdef public unsigned long long broken
    cdef public unsigned long long delivered
    cdef public unsigned long long empty
    cdef public unsigned long long evicted
    cdef public unsigned long long expired
    cdef public unsigned long long foreign
    cdef public unsigned long long gaps
    cdef public unsigned long long headers_refused
    cdef public unsigned long long joined
    cdef public unsigned long long keepalive_bytes
    cdef public unsigned long long lost_bytes
    cdef public unsigned long long messages
    cdef public unsigned long long not_sip_bytes
    cdef public unsigned long long overlap_bytes
    cdef public object rejected
    cdef public unsigned long long retransmitted
    cdef public unsigned long long seen
    cdef public unsigned long long skipped_bytes
    cdef public unsigned long long truncated
    cdef public unsigned long long unconfirmed
    cdef public unsigned long long undecoded
    cdef public unsigned long long undeflated
    cdef public unsigned long long waiting
    cdef public unsigned long long websocket_messages
    cdef public unsigned long long websocket_other
    cdef public unsigned long long websocket_refused
