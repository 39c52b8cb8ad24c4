cimport cython
from libc.errno cimport errno

cdef extern from "sys/socket.h" nogil:
    ssize_t send(int descriptor, const void *data, size_t size, int flags)
