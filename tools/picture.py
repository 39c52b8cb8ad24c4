"""Draw docs/demo.svg, the picture in the README: the real output of `calls` and `flow` after `make demo`."""

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
DATABASE = "sqlite:///demo/trace.db"
PROMPT = "$ "


def main() -> None:
    call_id = sys.argv[1]
    console = Console(record=True, width=112, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123 - for one print
    for command in (
        ["capture-agent", "calls", "--db", DATABASE],
        ["capture-agent", "flow", call_id, "--db", DATABASE],
    ):
        shown = subprocess.run(
            [Path(sys.executable).parent / command[0], *command[1:]],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "112"},
            capture_output=True,
            text=True,
            check=True,
        )
        console.print(Text(PROMPT + " ".join(command), style="bold"))
        console.print(Text(shown.stdout))
    picture = console.export_svg(title="capture-agent")
    # A picture in a README must not load fonts from elsewhere: it uses the reader's monospaced font.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL).replace("Fira Code", "monospace")
    (ROOT / "docs" / "demo.svg").write_text(picture)


main()
