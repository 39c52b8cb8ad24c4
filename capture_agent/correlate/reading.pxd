cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memchr, memcmp

from capture_agent.records cimport CapturedMessage, Datagram
from capture_agent.sip.message cimport SipMessage

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

cdef extern from *:
    """
    static inline unsigned long long word(const char *text) {
        unsigned long long read;
        memcpy(&read, text, 8);
        return read;
    }
    /* All 128 bits of the product, folded into 64: what Go's maps hash with. Of random factors nobody can tell
       which numbers give the same. */
    static inline unsigned long long fold(unsigned long long one, unsigned long long other) {
        unsigned __int128 product = (unsigned __int128)one * other;
        return (unsigned long long)product ^ (unsigned long long)(product >> 64);
    }
    /* So many bytes will be needed soon: asks memory for them, and does not wait. */
    static inline void fetch(const void *start, int size) {
        int at;
        for (at = 0; at < size; at += 64)
            __builtin_prefetch((const char *)start + at);
        __builtin_prefetch((const char *)start + size - 1);
    }
    """
    unsigned long long word(const char *text) nogil
    void fetch(const void *start, int size) nogil
    unsigned long long fold(unsigned long long one, unsigned long long other) nogil

cdef Py_ssize_t find(unsigned char *text, unsigned char byte, Py_ssize_t start, Py_ssize_t end) noexcept
cpdef bytes cut(bytes data, Py_ssize_t start, Py_ssize_t end)
cpdef int kind_of(bytes data, Py_ssize_t start, Py_ssize_t end) noexcept
cdef unsigned long long mix(unsigned long long number, bytes data, Py_ssize_t start, Py_ssize_t end) noexcept
cpdef unsigned long long call_key(SipMessage sip) noexcept
cpdef unsigned long long tag_key(bytes data, Py_ssize_t start, Py_ssize_t end) noexcept
cpdef unsigned long long hop_of(SipMessage sip) noexcept
cpdef unsigned long long mark_of(
    CapturedMessage message, int kind, unsigned long long hop, unsigned long long to_tag
) noexcept
cpdef Py_ssize_t value_of(SipMessage sip, bytes name) except -2
cpdef bint is_terminated(SipMessage sip) except -1
cpdef bint expires_now(SipMessage sip) except -1
