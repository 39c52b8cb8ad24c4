"""Measures speed: `make bench` and `make bench-instructions`. docs/benchmarks.md explains the figures.

traffic.py       deterministic captures: SIP over UDP, and SIP among RTP; dialogs.py has their messages,
                 carriers.py and tls_carrier.py what carries them
captures.py      the captures needed, made once and kept
limit.c sink.c   the physical limit, and the counting collector; building.py compiles them
stores.py        databases that the agent writes into; servers.py starts PostgreSQL and MariaDB, driver.py is their
                 driver alone
wire.py          live capture between two network namespaces; scrape.py reads /metrics there each second
launch.py        runs one command and reports its CPU time and memory; measure.py calls it
collector.py     the sink as a context manager
aead.py          the limit of TLS: the library's decryption alone
cases.py         the command of each program for each work
checks.py        whether all work was done: a loss is an error, not a figure
runner.py        all cases, interleaved and repeated
figures.py       samples to medians and ratios
targets.py       our targets, and figures published by others
report.py        the table: in the terminal, and as Markdown
plot.py          the plot
machine.py       the machine and the versions measured
results.py       JSON, docs/benchmarks.md and the plot
spooling.py      the spool: its speed beside the disk's, a start with a long backlog, an hour of outage
soak.py          `make soak`: a long live run, in which nothing may grow or drift
reload_live.py   reloads under load: no message lost or traced twice
instructions.py  instructions per message under valgrind, compared with instructions.json; counted.py runs inside
"""
