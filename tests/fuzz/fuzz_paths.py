"""To be imported first: lets samples and builders of the other tests be imported."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
# The project's own folder before `tests`, whose folder `hep` is not the package.
sys.path[:0] = [
    str(TESTS.parent),
    *(str(TESTS / folder) for folder in (".", "builds", "hep", "media", "sources", "streams")),
]
