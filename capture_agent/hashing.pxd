cimport cython

cdef extern from *:
    """
    #define LANE_TEXT 256   /* bytes of a text that one lane has keys for */
    #define LANE_KEYS 36    /* LANE_TEXT / 8, two for the end, and one for what is longer; even */
    #define PRIME 0x1fffffffffffffffULL  /* 2**61 - 1 */

    static inline unsigned long long word(const char *text) {
        unsigned long long read;
        memcpy(&read, text, 8);
        return read;
    }
    static inline unsigned int half(const char *text) {
        unsigned int read;
        memcpy(&read, text, 4);
        return read;
    }
    static inline unsigned long long fold(unsigned long long one, unsigned long long other) {
        unsigned __int128 product = (unsigned __int128)one * other;
        return (unsigned long long)product ^ (unsigned long long)(product >> 64);
    }
    static inline unsigned __int128 times(unsigned long long one, unsigned long long other) {
        return (unsigned __int128)one * other;
    }
    /* Of at most LANE_TEXT bytes. */
    static inline __attribute__((always_inline)) unsigned long long short_number(
        const char *text, Py_ssize_t length, const unsigned long long *keys, unsigned long long number
    ) {
        const unsigned long long *key = keys + 2;
        unsigned long long one = 0, other = 0;
        unsigned __int128 sum = number;
        Py_ssize_t left = length;
        for (; left > 16; left -= 16, text += 16, key += 2)
            sum += times(word(text) + key[0], word(text + 8) + key[1]);
        if (left >= 8) {  /* the two words overlap */
            one = word(text);
            other = word(text + left - 8);
        } else if (left >= 4) {
            one = half(text);
            other = half(text + left - 4);
        } else if (left > 0) {
            one = (unsigned char)text[0] << 16 | (unsigned char)text[left >> 1] << 8 | (unsigned char)text[left - 1];
        }
        sum += times(one + key[0], other + key[1]);
        return fold((unsigned long long)sum + keys[0], (unsigned long long)(sum >> 64) + keys[1] + (unsigned long long)length);
    }
    static inline unsigned long long reduced(unsigned __int128 value) {
        value = (value & PRIME) + (value >> 61);
        value = (value & PRIME) + (value >> 61);
        return (unsigned long long)value;
    }
    /* Of more: a polynomial over the numbers of its blocks. */
    static __attribute__((noinline, cold)) unsigned long long long_number(
        const char *text, Py_ssize_t length, const unsigned long long *keys, unsigned long long number
    ) {
        unsigned long long factor = keys[LANE_KEYS - 2] % (PRIME - 1) + 1;
        unsigned long long sum = reduced(times(reduced(number), factor) + (unsigned long long)length);
        Py_ssize_t size;
        for (; length > 0; length -= size, text += size) {
            size = length < LANE_TEXT ? length : LANE_TEXT;
            sum = reduced(times(sum, factor) + short_number(text, size, keys, 0));
        }
        return fold(sum + keys[0], keys[1]);
    }
    static inline __attribute__((always_inline)) unsigned long long keyed_number(
        const char *text, Py_ssize_t length, const unsigned long long *keys, unsigned long long number
    ) {
        if (length > LANE_TEXT)
            return long_number(text, length, keys, number);
        return short_number(text, length, keys, number);
    }
    /* Of data[start:end]; bounds that lie outside give the number of no text. Within its caller: a call costs as much. */
    static inline __attribute__((always_inline)) unsigned long long keyed_part(
        PyObject *data, Py_ssize_t start, Py_ssize_t end, const unsigned long long *keys, unsigned long long number
    ) {
        if (!(0 <= start && start < end && end <= PyBytes_GET_SIZE(data)))
            start = end = 0;
        return keyed_number(PyBytes_AS_STRING(data) + start, end - start, keys, number);
    }
    static inline unsigned long long keyed_words(
        unsigned long long one, unsigned long long other, unsigned long long third, unsigned long long fourth,
        const unsigned long long *keys
    ) {
        unsigned __int128 sum = times(one + keys[2], other + keys[3]) + times(third + keys[4], fourth + keys[5]);
        return fold((unsigned long long)sum + keys[0], (unsigned long long)(sum >> 64) + keys[1]);
    }
    """
    unsigned long long keyed_part(
        bytes data, Py_ssize_t start, Py_ssize_t end, const unsigned long long *keys, unsigned long long number
    )
    unsigned long long keyed_words(
        unsigned long long one, unsigned long long other, unsigned long long third, unsigned long long fourth,
        const unsigned long long *keys
    ) nogil

cdef unsigned long long KEYS[144]  # ALL_KEYS

cpdef unsigned long long number_of(
    bytes data, Py_ssize_t start, Py_ssize_t end, int lane, unsigned long long number
) noexcept
