cimport cython
from capture_agent.records cimport Datagram, Trace, TracedMessage
from capture_agent.sip.message cimport SipMessage
from hep.batch cimport Encoder
