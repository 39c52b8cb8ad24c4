cimport cython

cdef class Dialog:
    cdef readonly bytes call_id
    cdef readonly bytes caller_tag
    cdef readonly bytes method
    cdef public tuple traces
    cdef public tuple hooked

cdef class Transaction:
    cdef readonly bytes method
    cdef readonly long long cseq
    cdef readonly bytes from_tag
    cdef public Dialog dialog
    cdef public tuple traces
    cdef public tuple hooked
