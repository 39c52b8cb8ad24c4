"""The agent's counters for those who watch it. No I/O here, and nothing is counted for it: it reads what stages count.

figures.py        Figures: all counters at one moment
metric_family.py  what a metric is
families.py       every metric: its name, labels and help
sip_families.py   those of SIP and of calls, for which [metrics] asks
media_families.py those of RTP, with [media] rtp
samples.py        their values, out of the figures
exposition.py     the text that Prometheus scrapes
agent_stats.py    the JSON that Homer's `agent stats` polls
health.py         ok or degraded, and why
"""
