"""Where frames come from: each source yields batches of Frames, and reports what was lost before them.

source.py             Source, the protocol of every source, and SourceError
capture_file.py       CaptureFile: pcap and pcapng, by path or from standard input
  file_bytes.py       the bytes of a file or pipe
  compressed_file.py  decompresses them: gzip, bzip2, xz, zstd, lz4
  pcap.py             the file header of pcap
  hep_dump.py         HEP3 packets back to back
  pcapng.py           the blocks of pcapng other than packets
  other_formats.py    files that are not captures, by name
pacing.py             replays at the capture's pace, or with times shifted to now
containers.py         (hot) walks over packet records and indexes them; also for live batches
merge.py              several live sources as one
  newcomers.py        sources that are added while others run
  ordering.py         sorts their frames by timestamp
  frame_rows.py       (hot) joins the rows of frames
live.py               LiveInterface: an interface of this host, by libpcap
  bpf.py              checks a filter without a device
  own_filter.py       makes the kernel leave out our own packets
  kernel_counters.py  extends the kernel's 32-bit counters
key_logs.py           KeyLogs: follows the key logs of TLS
sip_listener.py       UdpListener, TcpListener: receive SIP duplicates
  duplicate_connections.py  the peers of TcpListener, limited in number
hep_listener.py       HepUdpListener, HepTcpListener: receive HEP, also over TLS
  hep_walker.py       (hot) finds the packets in them, and in what connections have sent
kafka_source.py       KafkaSource: HEP in a topic of Kafka, read by a group of workers
packaged_source.py    a source from a package
interface_list.py     which interfaces and addresses this host has
"""
