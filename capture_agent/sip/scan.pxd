cimport cython
from libc.string cimport memchr
from capture_agent.sip.message cimport SipMessage

cpdef SipMessage scan(bytes data, Py_ssize_t start, Py_ssize_t end)
cpdef int stranger(bytes data, Py_ssize_t start, Py_ssize_t end) except -1
