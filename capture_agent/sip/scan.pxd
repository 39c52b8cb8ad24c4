cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memchr, memcmp

from capture_agent.sip.message cimport SipMessage, new_message

cpdef SipMessage scan(bytes data, Py_ssize_t start, Py_ssize_t end)
