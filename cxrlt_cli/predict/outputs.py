"""The files that `predict` writes: predictions, images that cannot be read, and the CSV of the challenge."""

from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.artifacts.failures import write_failures
from cxrlt_cli.artifacts.files import refuse_existing, replacing_together
from cxrlt_cli.artifacts.predictions import FORMAT, Predictions, refuse_other_submission, write_predictions, write_submission
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.console import say, warn


@dataclass(frozen=True)
class Outputs:
    """Where predictions go.

    Attributes:
        path: of the predictions.
        submission: the challenge's CSV; None for none.
        id_column: the name of its id column.
        overwrite: whether existing files are replaced.
    """

    path: Path
    submission: Path | None
    id_column: str
    overwrite: bool

    def refuse_existing(self) -> None:
        """Raises UserError where a file exists that may not be replaced."""
        refuse_existing(self.path, self.overwrite)
        refuse_other_table(self.path, FORMAT)
        if self.submission:
            refuse_existing(self.submission, self.overwrite)
            refuse_other_submission(self.submission, self.id_column)

    @property
    def others(self) -> list[Path]:
        """The other files that are written with the predictions."""
        return [self.path.with_suffix(".failed.csv"), *([self.submission] if self.submission else [])]

    def write(self, predictions: Predictions, failures: dict[str, str]) -> None:
        """Writes the predictions, the images that cannot be read (id -> reason), and the CSV where it was asked for."""
        failed = self.others[0]
        with replacing_together(self.path):
            write_failures(failed, ("image_id", "reason"), sorted(failures.items()))
            if self.submission:
                write_submission(self.submission, predictions, self.id_column)
            write_predictions(self.path, predictions)
        if failures:
            warn(f"{len(failures)} images cannot be read: no scores, and no row in a submission: {failed}")
        if self.submission:
            say(f"submission: {self.submission}")
        header = predictions.header
        views = "1 view" if header.views == 1 else f"{header.views} views, {header.merge}"
        size = f"{len(predictions.image_ids)} images x {len(predictions.classes)} classes"
        scored_by = header.zero_shot.name if header.zero_shot else f"{len(header.runs)} run(s)"
        say(f"{size}, {scored_by}, {views}: {self.path}")
