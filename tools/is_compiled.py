"""Exit status 0 if the compiled build is installed, whatever CAPTURE_AGENT_PURE says now."""

import os
import sys

os.environ.pop("CAPTURE_AGENT_PURE", None)

from capture_agent.build import flavour

sys.exit(flavour() != "compiled")
