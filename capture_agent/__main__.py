"""`python -m capture_agent` is `capture-agent`."""

import sys

from capture_agent.cli import main

sys.exit(main())
