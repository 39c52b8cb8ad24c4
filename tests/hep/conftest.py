import sys
from pathlib import Path

# The modules that several tests here share, in whatever way pytest imports the tests.
sys.path.insert(0, str(Path(__file__).parent))
