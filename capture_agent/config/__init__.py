"""Configuration: TOML, environment and command line become frozen dataclasses, or a list of every problem.

sections.py      what can be configured: one dataclass for each section of the file, and the table of sink kinds
targets.py       the sinks' part of it: what a line of that table holds, and the options of each kind
rule_options.py  [[rule]] and [legs], with masks and templates; matchers.py: what a message is compared with
spool_options.py  [spool], and what differs for one sink
groups.py        [[group]]
field_types.py   options that are written as text, or as one element of a list
endpoints.py     hosts, addresses and ports: local ones, advertised ones, those to send from
uris.py          hep: and sip: URIs, and those of databases
kafka_options.py  [[kafka]]: options of the connection, the sink and the source
file_patterns.py  names of files that sinks write, with placeholders
secrets.py       what must not be shown
option_list.py   every option with its type, default and environment name, read off the dataclasses
precedence.py    TOML < environment < command line, and the line or variable that each value came from
entries.py       the entries of sinks and rules: URIs taken apart, secrets and names of files read
configured_sinks.py  all sinks of a configuration with their ids, and which one a rule means
http_listen.py   where the HTTP door listens, and what it needs
key_log_listen.py  where keys of TLS arrive
media_options.py  [media]
metric_peers.py  names of networks, for metrics; alias_options.py: names of hosts, for people
config_errors.py  one line for each thing that is wrong
load.py          all of it, in order
show.py          the configuration in force, as TOML
filter_text.py   the grammar of filters; filter_fields.py compiles comparisons; filter_names.py: fields of messages
"""

from capture_agent.config.config_errors import ConfigError
from capture_agent.config.groups import Group
from capture_agent.config.load import load
from capture_agent.config.rule_options import Legs, Rule
from capture_agent.config.sections import (
    Capture,
    Config,
    Control,
    Correlate,
    HooksSection,
    Log,
    Metrics,
    Privacy,
    QueueSection,
    Run,
    TraceSection,
)
from capture_agent.config.targets import (
    HepTarget,
    JsonlTarget,
    PackageSink,
    PackageSource,
    PcapTarget,
    SipTarget,
    SqlTarget,
)

__all__ = [
    "Capture",
    "Config",
    "ConfigError",
    "Control",
    "Correlate",
    "Group",
    "HepTarget",
    "HooksSection",
    "JsonlTarget",
    "Legs",
    "Log",
    "Metrics",
    "PackageSink",
    "PackageSource",
    "PcapTarget",
    "Privacy",
    "QueueSection",
    "Rule",
    "Run",
    "SipTarget",
    "SqlTarget",
    "TraceSection",
    "load",
]
