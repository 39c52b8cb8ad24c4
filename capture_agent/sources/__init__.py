"""Where frames come from: each source yields batches of Frames, and reports what was lost before them.

source        Source, the protocol of every source, and SourceError
capture_file  CaptureFile: pcap and pcapng, by path or from standard input
  file_bytes  the bytes of a file or pipe
  compressed_file  decompresses them: gzip, bzip2, xz, zstd, lz4
  pcap        the file header of pcap
  pcapng      the blocks of pcapng other than packets
  other_formats  files that are not captures, by name
pacing        replays at the capture's pace, or with times shifted to now
containers    hot: walks over packet records and indexes them; also for live batches
merge         several live sources as one
  ordering    sorts their frames by timestamp
  frame_rows  hot: joins the rows of frames
live          LiveInterface: an interface of this host, by libpcap
  bpf         checks a filter without a device
  own_filter  makes the kernel leave out our own packets
  kernel_counters  extends the kernel's 32-bit counters
sip_listener  UdpListener, TcpListener: receive SIP duplicates
packaged_source  a source from a package
interface_list  which interfaces and addresses this host has
"""
