"""The configuration examined, and the measurements. Measuring takes a bounded time; checks then only read."""

from __future__ import annotations

from dataclasses import dataclass, field

from capture_agent.app.extensions import Extensions
from capture_agent.app.interface_keeper import interfaces_up, names_of
from capture_agent.config import Config
from capture_agent.config.precedence import Layers
from capture_agent.doctor.destination_trials import Trial, trials_of
from capture_agent.doctor.observation import Observation, observe
from capture_agent.doctor.running_agent import RunningAgent, find_agent
from capture_agent.hooks.guard import kind_of, raised_at
from capture_agent.parallel import at_once
from capture_agent.sources.interface_list import is_pattern

PATIENCE = 20.0  # seconds for destinations, which are tried while packets are captured
LAST = 3.0  # seconds to stop capturing


@dataclass
class Case:
    """`seconds`: how long to capture. `test_message`: whether HEP collectors are sent one.

    `interfaces`: those that are wanted, also by patterns.
    """

    config: Config
    layers: Layers
    extensions: Extensions
    seconds: float = 10.0
    test_message: bool = True
    interfaces: list[str] = field(default_factory=list)
    agent: RunningAgent | None = None
    trials: list[Trial] = field(default_factory=list)
    observation: Observation = field(default_factory=Observation)

    def measure(self) -> None:
        """Takes at most `seconds` + LAST or PATIENCE, whichever is longer. Failures are measurements, too."""
        wanted = self.config.capture.interfaces
        try:
            self.interfaces = names_of(wanted, interfaces_up())
        except OSError:  # the check `interface` reports it
            self.interfaces = [name for name in wanted if not is_pattern(name)]
        self.agent = find_agent(self.config)
        self.trials = trials_of(self.config, self.extensions, self.test_message)
        limit = max(self.seconds + LAST, PATIENCE)
        at_once([self._observe, *(trial.run for trial in self.trials)], limit)
        if self.agent is not None:
            self.agent.look_again(self.config)

    def _observe(self) -> None:
        """Never raises."""
        try:
            observe(self.config, self.extensions, self.interfaces, self.seconds, self.observation)
        except Exception as error:
            for name in self.interfaces:
                self.observation.problems.setdefault(name, f"{kind_of(error)}{raised_at(error)}")
