"""Configuration: TOML, environment and command line become frozen dataclasses, or a list of every problem.

sections.py  what can be configured: one dataclass for each section of the file
targets.py   the same for sinks: HepTarget, SipTarget, SqlTarget
advertised.py  address rewriting
sending.py   the address and port that a sink sends from
packages.py  the sinks and sources of installed packages
masks.py     what a mask can hide in a traced message
local.py     which addresses are the traced server's own
listen.py    sockets that receive SIP duplicates
ports.py     the ports where the agent looks for SIP
rule_options.py  [[rule]] and [legs]; matchers.py and templates.py: the texts in them
single_or_list.py  a list that may be written as its only element
sink_references.py  which sink a rule means
twice.py     interfaces and destinations that are configured twice
uris.py      hep: and sip: URIs
options.py   every option with its type, default and environment name, derived from the dataclasses
layers.py    TOML < environment < command line, and the origin of each value
lines.py     the line of an option in the TOML file
entries.py   [[hep]], [[sip]], [[sql]]: URIs taken apart, secrets read from files
files.py     relative file names
problems.py  one line for each problem
secrets.py   values that must not be shown
load.py      runs these steps in order
show.py      the effective configuration, as TOML
"""

from capture_agent.config.load import load
from capture_agent.config.packages import PackageSink, PackageSource
from capture_agent.config.problems import ConfigError
from capture_agent.config.rule_options import Legs, Rule
from capture_agent.config.sections import Capture, Config, Control, Correlate, Hooks, Log, Privacy, Queue, Trace
from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget
from capture_agent.config.uris import parse_hep_uri, parse_sip_uri

__all__ = [
    "Capture",
    "Config",
    "ConfigError",
    "Control",
    "Correlate",
    "HepTarget",
    "Hooks",
    "Legs",
    "Log",
    "PackageSink",
    "PackageSource",
    "Privacy",
    "Queue",
    "Rule",
    "SipTarget",
    "SqlTarget",
    "Trace",
    "load",
    "parse_hep_uri",
    "parse_sip_uri",
]
