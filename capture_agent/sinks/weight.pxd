cimport cython
from capture_agent.records cimport CapturedMessage, TracedMessage
from capture_agent.sip.message cimport SipMessage
