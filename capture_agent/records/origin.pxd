cdef class Origin:
    cdef readonly object direction
    cdef readonly bytes correlation_id
    cdef readonly bytes node
    cdef readonly object capture_id
    cdef readonly bytes chunks

    cpdef tuple _parts(self)

cdef class Envelope:
    cdef readonly int kind
    cdef readonly long long seen_ns
    cdef readonly Origin origin

cpdef Envelope envelope(
    int kind, long long seen_ns, object capture_id, bytes node, bytes correlation_id, bytes chunks
)
