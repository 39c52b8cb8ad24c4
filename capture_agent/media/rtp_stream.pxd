cimport cython
from cpython.bytes cimport PyBytes_AS_STRING

cdef class RtpCounts:
    cdef readonly unsigned long long octets
    cdef readonly double sum_delta_ms
    cdef readonly double sum_jitter_ms
    cdef readonly long long begin_ns
    cdef readonly long long end_ns
    cdef readonly long long gap_ns
    cdef readonly long long gap_at_ns
    cdef readonly float max_delta_ms
    cdef readonly float max_jitter_ms
    cdef readonly float max_skew_ms
    cdef readonly unsigned int packets
    cdef readonly unsigned int expected
    cdef readonly unsigned int out_of_order
    cdef readonly unsigned int duplicates
    cdef readonly unsigned int dtmf_events
    cdef readonly unsigned int deltas
    cdef readonly unsigned int jitters

cdef class RtpStream:
    cdef readonly bytes key
    cdef readonly bytes formats
    cdef readonly object call
    cdef readonly RtpCounts counts
    cdef readonly RtpCounts whole
    cdef RtpStream other
    cdef public RtpStream sibling
    cdef RtpStream before
    cdef RtpStream following
    cdef unsigned long long window
    cdef long long last_ns
    cdef long long reference_ns
    cdef long long tick_ns
    cdef long long report_ns
    cdef readonly double jitter_ms
    cdef double skew_ms
    cdef readonly unsigned int ssrc
    cdef unsigned int highest
    cdef unsigned int first
    cdef unsigned int earlier
    cdef unsigned int reference
    cdef unsigned int reference_rate
    cdef unsigned int rate
    cdef unsigned int event
    cdef unsigned int votes
    cdef int wild
    cdef readonly unsigned int ssrc_changes
    cdef readonly short now_type
    cdef readonly short payload_type
    cdef readonly unsigned char dscp
    cdef unsigned char is_event
    cdef unsigned char had_event

    cdef bint take(self, bytes data, Py_ssize_t at, Py_ssize_t octets, long long time_ns, bint is_first) except -1
    cdef bint _change_type(self, int kind) except -1
    cdef bint _in_sequence(self, unsigned int sequence, Py_ssize_t octets, long long gap_ns) noexcept
    cdef bint _in_time(self, int kind, unsigned int timestamp, long long time_ns) noexcept
    cdef void _vote(self, int kind) noexcept

cdef unsigned int be32(bytes data, Py_ssize_t at) except? 0xFFFFFFFF
