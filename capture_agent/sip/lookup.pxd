cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memchr

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

from capture_agent.sip.message cimport SipMessage

cpdef list header_values(SipMessage sip, bytes name, bytes compact)
cpdef bytes address(bytes value)
cpdef list addresses(bytes value)
cpdef bytes user_of(bytes uri)
cpdef bytes host_of(bytes uri)
