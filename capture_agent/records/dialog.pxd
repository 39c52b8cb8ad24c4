cimport cython

cpdef enum:
    FIRST_MARKS = 8
    UNIT = 16
    SHIFT = 4
    BYTES_MORE = 48
    KNOWN = 0
    NEW = 1
    NEW_BUT_FORGOTTEN = 2
    TRANSACTION_CALLING = 0
    TRANSACTION_PROCEEDING = 1
    TRANSACTION_ACCEPTED = 2
    TRANSACTION_COMPLETED = 3
    TRANSACTION_CONFIRMED = 4
    TRANSACTION_TRYING = 5
    TRANSACTION_ANSWERED = 6
    DIALOG_EARLY = 0
    DIALOG_CONFIRMED = 1
    DIALOG_ENDED = 2

# Ordered by need: with a million of them, every 64 bytes are another access to memory.

cdef class Dialog:
    cdef readonly int state
    cdef unsigned int _answered
    cdef long long _last_ns
    cdef long long _born_ns
    cdef unsigned long long _caller
    cdef unsigned long long _callee
    cdef public tuple traces
    cdef Dialog _next
    # Each message needs the fields up to here: 80 bytes in two cache lines, as the allocator places 128-byte objects.
    cdef public unsigned int confirming_cseq
    cdef unsigned short _caller_at
    cdef unsigned short _callee_at
    cdef public tuple hooked
    cdef bytes _text
    cdef tuple _others
    cdef readonly bytes method
    cdef unsigned short _units
    cdef readonly bint joined

    cdef bytes tag(self, unsigned long long key)
    cdef bint has(self, unsigned long long key) except -1
    cdef int callee(self, unsigned long long key) except -2
    cpdef int hold(self, int units) except? -1
    cdef int add_callee(self, unsigned long long key, bytes tag) except -2

cdef class Transaction:
    cdef Transaction _next
    cdef readonly unsigned char state
    cdef unsigned char _kind
    cdef unsigned short _units
    cdef int _open
    cdef long long _last_ns
    cdef public Dialog dialog
    cdef public tuple traces
    cdef public tuple hooked
    cdef bytes _from_tag
    cdef object _hops
    cdef object _more
    cdef readonly bytes method
    # Expiry reads the fields up to here.
    cdef readonly long long cseq
    cdef unsigned long long _from
    cdef unsigned long long _first_hop
    cdef readonly bint spiral
    cdef unsigned char _ends
    cdef unsigned char _initial
    cdef unsigned char _marked
    cdef unsigned long long _marks[FIRST_MARKS]

    cpdef int hold(self, int units) except? -1
    cdef int remember(self, unsigned long long mark) except -1
    cdef int _remember_more(self, unsigned long long mark) except -1
    cdef bint knows_hop(self, unsigned long long hop) except -1
    cdef bint add_hop(self, unsigned long long hop) except -1
