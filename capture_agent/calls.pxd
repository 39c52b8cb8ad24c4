cimport cython

cdef class Dialog:
    cdef readonly bytes call_id
    cdef readonly bytes caller_tag
    cdef readonly bytes method
    cdef readonly int state
    cdef readonly bint joined
    cdef public tuple traces
    cdef public tuple hooked
    cdef Dialog _next
    cdef long long _born_ns
    cdef long long _last_ns
    cdef bytes _tag
    cdef tuple _other_tags
    cdef unsigned int _answered

    cdef int callee(self, bytes tag) except -2
    cdef int add_callee(self, bytes tag) except -2

cdef class Transaction:
    cdef readonly bytes method
    cdef readonly long long cseq
    cdef readonly bytes from_tag
    cdef readonly int state
    cdef readonly bint spiral
    cdef public Dialog dialog
    cdef public tuple traces
    cdef public tuple hooked
    cdef Transaction _next
    cdef int _kind
    cdef bint _initial
    cdef long long _last_ns
    cdef int _open
    cdef int _marked
    cdef unsigned long long _first_hop
    cdef object _hops
    cdef object _more
    cdef unsigned long long _marks[8]  # FIRST_MARKS

    cdef int remember(self, unsigned long long mark) except -1
    cdef int _remember_more(self, unsigned long long mark) except -1
    cdef bint knows_hop(self, unsigned long long hop) except -1
    cdef bint add_hop(self, unsigned long long hop) except -1
