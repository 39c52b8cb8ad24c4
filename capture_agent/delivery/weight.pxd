cimport cython
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.records.origin cimport Origin
from capture_agent.records.traced cimport TracedMessage
from capture_agent.sip.message cimport SipMessage
