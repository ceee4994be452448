"""Options of `cxrlt runs`."""

from dataclasses import dataclass

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class RunsConfig:
    """List the runs of the workspace, and what to type next.

    Shows state, validation mAP, test mAP with its interval where it was evaluated, hours, size on disk, and the options in
    which the runs differ.
    """

    json: bool = flag(False, "Print JSON.", name="--json")
    clean: bool = flag(
        False,
        "List last.pt of finished runs, which resuming no longer needs, and remove it after a question. best.pt is kept.",
        name="--clean",
    )
    yes: bool = flag(False, "With --clean: remove without a question.", name="--yes")

    def __post_init__(self) -> None:
        if self.yes and not self.clean:
            raise UserError("--yes needs --clean", "as in: cxrlt runs --clean --yes")
        if self.json and self.clean and not self.yes:
            raise UserError(
                "--json and --clean: a program cannot answer the question", "as in: cxrlt runs --clean --yes --json"
            )
