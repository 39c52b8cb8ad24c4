"""Speed, measured: `make bench` and `make bench-instructions`. docs/benchmarks.md says what the figures mean.

traffic.py       deterministic captures: SIP over UDP, and SIP among RTP; dialogs.py has their messages
captures.py      which captures are needed, made once and kept
limit.c sink.c   the physical limit, and the collector that counts; building.py compiles them
launch.py        runs one command and tells its CPU time and memory; measure.py calls it
collector.py     the sink as a context
cases.py         who does which work, with which command
checks.py        was all of it done? What lost something is an error, not a figure
runner.py        all cases, interleaved and repeated
figures.py       samples to medians and ratios
targets.py       what must hold, and what others have published
report.py        the table: in the terminal, and as Markdown
plot.py          the picture
machine.py       what was measured where
results.py       JSON, docs/benchmarks.md and the picture
instructions.py  instructions per message under valgrind, compared with instructions.json; counted.py runs inside
"""
