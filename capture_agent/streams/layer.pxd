cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.outlet cimport Emitter, Outlet

cdef class Layer:
    cdef readonly Emitter emitter
    cdef readonly Outlet outlet

    cpdef bint deliver(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cpdef bint lose(self, Py_ssize_t size, bint cut) except -1
    cpdef bint finish(self) except -1
    cpdef Py_ssize_t buffered(self) except -1
    cpdef bint is_foreign(self) except -1
    cpdef bint needs_order(self) except -1
    cpdef bint is_seeking(self) except -1
    cpdef Py_ssize_t passed(self) except -1
    cpdef object learned(self)
    cpdef bint learn(self, object news) except -1

cdef class Between(Layer):
    cdef readonly Layer upper

    cpdef bint hand_on(self, bytes payload, str transport=*) except -1
