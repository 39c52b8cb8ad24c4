"""Where frames come from: each source yields batches of Frames, and says what was lost before it.

source        what every source is (a Protocol), and the one error
capture_file  CaptureFile: pcap and pcapng, by path or from standard input
  reading     the bytes of a file or pipe
  compression what unpacks them: gzip, bzip2, xz, zstd, lz4
  pcap        the file header of pcap
  pcapng      the blocks of pcapng that are no packets
  other_formats  files that are not captures, by name
pacing        replays in the time of the capture, or moved to now
containers    hot: walks over packet records and indexes them; also for live batches
merge         several live sources as one
  ordering    their frames in the order of times
  rows        hot: the rows of frames put together
live          LiveInterface: an interface of this host, by libpcap
  bpf         a filter checked without a device
  own_filter  the kernel leaves out our own packets
  counting    counters of 32 bits
sip_listener  UdpListener, TcpListener: SIP duplicates that are sent to us
  made_frames the packets that are made around them
packaged      a source that a package brings
interfaces    which interfaces and addresses this host has
"""
