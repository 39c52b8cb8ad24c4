from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from capture_agent.sip.parameters cimport parameter

cdef class SipMessage:
    cdef readonly bytes data
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t body_start
    cdef readonly Py_ssize_t body_end
    cdef readonly Py_ssize_t headers_start
    cdef readonly bint is_request
    cdef readonly int status
    cdef readonly long long cseq
    cdef readonly long long content_length
    cdef public int problems
    cdef Py_ssize_t method_start, method_end
    cdef Py_ssize_t uri_start, uri_end
    cdef Py_ssize_t cseq_method_start, cseq_method_end
    cdef Py_ssize_t call_id_start, call_id_end
    cdef Py_ssize_t from_start, from_end
    cdef Py_ssize_t to_start, to_end
    cdef Py_ssize_t via_start, via_end
    cdef list _headers

    cdef _part(self, Py_ssize_t start, Py_ssize_t end)

cpdef SipMessage new_message()
