cimport cython
from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING

cpdef enum:
    NONE = -1
    WORDS = 3
    ENTRY_WORDS = 7

cdef extern from *:
    """
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define HOST_LONG(word) __builtin_bswap64(word)
    #define HOST_INT(word) __builtin_bswap32(word)
    #else
    #define HOST_LONG(word) (word)
    #define HOST_INT(word) (word)
    #endif
    typedef struct {
        const unsigned long long *ranges4, *ranges16, *entries;
        Py_ssize_t count16, count;
        int with_ports;
        unsigned int low[256], high[256];  /* by first byte, the ranges of its first and its last IPv4 address */
    } network_table;
    /* Ranges are first << 32 | number + 1, ascending; the first one begins at address 0. */
    static inline int number_of_short(const network_table *table, const char *address) {
        unsigned int low = table->low[(unsigned char)address[0]], high = table->high[(unsigned char)address[0]];
        if (low != high) {
            unsigned int read;
            unsigned long long key;
            memcpy(&read, address, 4);
            key = (unsigned long long)HOST_INT(read) << 32 | 0xffffffffULL;
            while (low < high) {
                unsigned int middle = (low + high + 1) >> 1;
                if (table->ranges4[middle] <= key)
                    low = middle;
                else
                    high = middle - 1;
            }
        }
        return (int)(unsigned int)table->ranges4[low] - 1;
    }
    /* The same; ranges have three words. */
    static inline int number_of_long(const unsigned long long *range, Py_ssize_t count, const char *address) {
        unsigned long long high, low;
        memcpy(&high, address, 8);
        memcpy(&low, address + 8, 8);
        high = HOST_LONG(high);
        low = HOST_LONG(low);
        while (count > 1) {
            Py_ssize_t half = count >> 1;
            const unsigned long long *one = range + 3 * half;
            if (one[0] < high || (one[0] == high && one[1] <= low))
                range = one;
            count -= half;
        }
        return (int)range[2] - 1;
    }
    /* Of the first network that the address and the port fit; entries have seven words. */
    static inline int number_of_fitting(
        const unsigned long long *entry, Py_ssize_t count, const char *address, Py_ssize_t size, unsigned int port
    ) {
        unsigned long long high = 0, low = 0;
        unsigned int read;
        if (size == 4) {
            memcpy(&read, address, 4);
            low = HOST_INT(read);
        } else {
            memcpy(&high, address, 8);
            memcpy(&low, address + 8, 8);
            high = HOST_LONG(high);
            low = HOST_LONG(low);
        }
        for (; count > 0; count--, entry += 7)
            if (entry[4] == (unsigned long long)size && (low & entry[1]) == entry[3] && (high & entry[0]) == entry[2]
                    && (entry[5] == 0 || entry[5] == port))
                return (int)entry[6];
        return -1;
    }
    /* The number of the network that this address is in, or -1. The caller checks bounds: it has 4 or 16 bytes. */
    static inline int number_at(const network_table *table, const char *address, Py_ssize_t size, unsigned int port) {
        if (table->with_ports)
            return number_of_fitting(table->entries, table->count, address, size, port);
        if (size == 4)
            return number_of_short(table, address);
        return number_of_long(table->ranges16, table->count16, address);
    }
    """
    ctypedef struct network_table:
        const unsigned long long *ranges4
        const unsigned long long *ranges16
        const unsigned long long *entries
        Py_ssize_t count16
        Py_ssize_t count
        int with_ports
        unsigned int low[256]
        unsigned int high[256]
    int number_at(const network_table *table, const char *address, Py_ssize_t size, unsigned int port) nogil

cdef class Networks:
    cdef readonly Py_ssize_t count
    cdef array.array _compared
    cdef bint _with_ports
    cdef dict _ranges
    cdef array.array _short
    cdef array.array _long
    cdef network_table table

    cdef int find(self, bytes data, Py_ssize_t at, Py_ssize_t size, int port) except -2
