"""Sockets to receivers.

sender.py       Sender, the interface of every sender, and the Tally it counts in
make_sender.py  the sender for a configured target     tls.py         its certificates
udp_sender.py   datagrams                              udp_batch.py   (hot) the loop of system calls
kafka_client.py  options and errors of connections to Kafka
tcp_sender.py   one connection after another, until everything is acknowledged
connection.py   one TCP or TLS connection: how much has arrived, and how it ended
doubt.py        what a receiver may have acknowledged without reading it
unconfirmed.py  packets whose arrival is not certain   repeated.py    log lines about possible duplicates
connecting.py   name look-ups, sockets, and the source address
own_sockets.py  which packets belong to this process
accepting.py    what failures of accept mean, for all that listens
sink_errors.py  SinkError, and operating system errors as text
"""
