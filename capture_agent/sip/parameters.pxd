cimport cython

cpdef object parameter(bytes value, bytes name, bint first_value_only=*)
