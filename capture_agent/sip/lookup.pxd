cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memchr

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

from capture_agent.sip.message cimport SipMessage

cpdef enum:
    MOST_VALUES = 16

cpdef Py_ssize_t header_at(SipMessage sip, Py_ssize_t at, bytes name, bytes compact) except? -2
cpdef Py_ssize_t value_stop(SipMessage sip, Py_ssize_t start) except? -2
cpdef list header_values(SipMessage sip, bytes name, bytes compact)
cpdef bytes address(bytes value)
cpdef list addresses(bytes value)
cpdef bytes user_of(bytes uri)
cpdef bytes host_of(bytes uri)
