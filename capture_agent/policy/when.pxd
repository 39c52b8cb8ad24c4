cimport cython
from capture_agent.hooks.guard cimport Guard
from capture_agent.hooks.seen_message cimport SeenMessage
from capture_agent.policy.conditions cimport Condition
from capture_agent.policy.facts cimport Facts
from capture_agent.records.captured cimport CapturedMessage

cdef class When(Condition):
    cdef Guard _guard
    cdef CapturedMessage _message
    cdef bint _answer
