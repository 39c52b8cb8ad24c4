cimport cython
from capture_agent.records.datagram cimport Datagram
