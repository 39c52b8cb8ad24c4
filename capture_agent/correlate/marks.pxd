cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memchr

from capture_agent.hashing cimport KEYS, keyed_part, keyed_words
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.sip.message cimport SipMessage

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

cdef extern from *:
    """
    /* So many bytes will be needed soon: asks memory for them, and does not wait. */
    static inline void fetch(const void *start, int size) {
        int at;
        for (at = 0; at < size; at += 64)
            __builtin_prefetch((const char *)start + at);
        __builtin_prefetch((const char *)start + size - 1);
    }
    """
    void fetch(const void *start, int size) nogil

cdef Py_ssize_t find(unsigned char *text, unsigned char byte, Py_ssize_t start, Py_ssize_t end) noexcept
cpdef bytes cut(bytes data, Py_ssize_t start, Py_ssize_t end)
cpdef unsigned long long call_key(SipMessage sip) noexcept
cpdef unsigned long long tag_key(bytes data, Py_ssize_t start, Py_ssize_t end) noexcept
cpdef unsigned long long hop_of(SipMessage sip) noexcept
cpdef unsigned long long mark_of(
    CapturedMessage message, int kind, unsigned long long hop, unsigned long long to_tag
) noexcept
cpdef Py_ssize_t value_of(SipMessage sip, bytes name) except -2
cpdef bint is_terminated(SipMessage sip) except -1
cpdef bint expires_now(SipMessage sip) except -1
