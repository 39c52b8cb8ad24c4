"""capture-agent doctor: finds out why nothing arrives."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capture_agent.doctor.finding import Finding

MOST_SECONDS = 3600


def doctor(
    config: options.ConfigFile = None,
    interface: options.Interfaces = None,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="N", help="How long to capture. [default: 10]", show_default=False)
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    no_test_message: Annotated[
        bool, typer.Option("--no-test-message", help="Send HEP collectors no test message.")
    ] = False,
    bpf: options.Filter = None,
    listen: options.Listen = None,
    hep: options.Hep = None,
    sip: options.Sip = None,
    db: options.Databases = None,
    trace: options.Trace = None,
    local: options.Local = None,
    port: options.Ports = None,
    control: options.ControlSocket = None,
) -> None:
    """Check the host, the traffic and each destination of a configuration, and say what to do.

    Takes run's options. Status 0: nothing is wrong, 1: warnings, 2: something is broken. It can run beside an agent:
    it captures for some seconds, sends each HEP collector a log line that says what it is (--no-test-message), takes
    back the row that it inserts into a table, and sends SIP servers nothing.
    """
    if not 0 < seconds <= MOST_SECONDS:
        raise WrongUsage(f"--seconds: value {seconds:g}, expected more than 0, at most {MOST_SECONDS}")
    said = options.overrides(
        hep,
        sip,
        db,
        trace_mode=trace,
        capture_local=local,
        capture_interfaces=interface,
        capture_filter=bpf,
        capture_ports=port,
        capture_listen=listen,
        control_socket=control,
    )

    from capture_agent.config import ConfigError
    from capture_agent.doctor.case import Case
    from capture_agent.doctor.check_table import examine
    from capture_agent.doctor.settings_check import not_loaded

    logging.getLogger().addHandler(logging.NullHandler())  # the findings include what the agent would log
    try:
        findings = examine(Case(*options.loaded(config, said), seconds, not no_test_message))
    except ConfigError as error:
        findings = not_loaded(error.problems)
    show(findings, as_json)


def show(findings: Sequence[Finding], as_json: bool) -> None:
    from capture_agent.doctor import report

    if as_json:
        print(report.as_json(findings))
    else:
        for line in report.lines(findings):
            print(line)
    raise typer.Exit(report.exit_status(findings))
