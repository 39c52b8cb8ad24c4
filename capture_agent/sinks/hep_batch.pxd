cimport cython
from capture_agent.records cimport Datagram, TracedMessage
from capture_agent.sip.message cimport SipMessage
from hep.batch cimport Encoder
