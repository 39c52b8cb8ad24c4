cimport cython
from libc.string cimport memchr

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

from capture_agent.sip.message cimport SipMessage

cpdef SipMessage scan(bytes data, Py_ssize_t start, Py_ssize_t end)
