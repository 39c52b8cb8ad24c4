"""completions.py FOLDER: the completion scripts of bash, zsh and fish, as typer makes them.

They ask the program what can follow, so they know every command and option of the version that is installed.
"""

import sys
from pathlib import Path

from typer.completion import get_completion_script

from capture_agent.cli.failures import PROGRAM
from capture_agent.cli.program import COMPLETION

# zsh loads the file at the first TAB, as the body of a function: it then defines the completion, and answers with this.
FIRST_TIME = '\n[[ $zsh_eval_context[-1] == loadautofunc ]] && {function} "$@"'

# Under the names by which the shells find them.
FILES = {"bash": PROGRAM, "zsh": f"_{PROGRAM}", "fish": f"{PROGRAM}.fish"}


def script(shell: str) -> str:
    text = get_completion_script(prog_name=PROGRAM, complete_var=COMPLETION, shell=shell).strip()
    if shell == "zsh":
        text += FIRST_TIME.format(function=f"_{PROGRAM.replace('-', '_')}_completion")
    return text + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for shell, name in FILES.items():
        (folder / shell).mkdir(parents=True, exist_ok=True)
        (folder / shell / name).write_text(script(shell))
