"""Finds out why nothing arrives: checks the host, the traffic and each destination of a configuration, in words.

finding.py        Finding: what a check found, and what to do
case.py           Case: what is examined, and what was measured for it
check_table.py    the table of checks, in their order
settings_check.py the configuration, as `config check` sees it
running_agent.py  a running agent: its losses, and whether it traces
privileges.py     whether this process may capture
links.py          interfaces: there, up, promiscuous
offload.py        what a network card changes before packets are captured
ethtool.py        the features of a network card, from the kernel
observation.py    captures for some seconds with the agent's own sources and pipeline
sip_tally.py      the SIP seen: ports, VLANs, addresses
traffic.py        packets arrive, and none is lost
sip_seen.py       the filter, the ports, the SIP that was seen, its direction, the rules
listeners.py      sockets for SIP duplicates
destination_trials.py tries each destination: look-up, connection, TLS, test message, table
receivers.py      the trials of HEP collectors, SIP servers and other sinks
own_certificate.py the dates of our own certificate
table_trial.py    the trial of a database
advice.py         advice for errors of destinations
clocks.py         this host's clock
files.py          disk space, and who may read files
report.py         the findings as text and as JSON

A check is a function from the Case to findings, and a line in check_table.py. A way to try a kind of sink is a
function of the sink, and a line in destination_trials.py.
"""
