"""Options of `cxrlt pack`."""

from dataclasses import dataclass
from typing import ClassVar

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class PackConfig:
    """Write a run or an ensemble as one zip with a model card.

    `cxrlt predict --pack FILE.zip` scores with it on any machine. The zip holds weights, classes, label texts, calibration,
    metrics and the card; no host, path, user, image id or patient id. A model that learned from images given out under an
    agreement is refused without --credentialed.
    """

    #: Field -> the panel of `--help` that begins with it.
    PANELS: ClassVar[dict[str, str]] = {"model": "Model", "purpose": "Card", "name": "Output"}

    model: str = flag(
        "",
        "A run or an ensemble, by name or path [default: the newest finished run]",
        argument=True,
        metavar="[RUN|ENSEMBLE]",
    )
    calibrate: str = flag("", "Include a fitted calibration: a name under calibrations/, or a file.")
    evaluation: str = flag(
        "",
        "Include metrics and thresholds of an evaluation of this model: a name under evaluations/, or its folder.",
        metavar="EVALUATION",
    )
    credentialed: bool = flag(
        False,
        "Pack a model that learned from images given out under an agreement, or whose sources are not recorded. The card names "
        "the agreement.",
        name="--credentialed",
    )
    purpose: str = flag("Research on chest radiographs.", "What the model is for: sentences for the card.", metavar="TEXT")
    users: str = flag(
        "Researchers who measure the model on images of their own before they use it.",
        "For whom the model is: sentences for the card.",
        metavar="TEXT",
    )
    name: str = flag("", "Name of the file: packs/NAME.zip [default: that of the model]")
    overwrite: bool = flag(False, "Replace an existing pack.", name="--overwrite")

    def __post_init__(self) -> None:
        if not self.purpose.strip() or not self.users.strip():
            raise UserError("--purpose and --users are not empty: they are part of the card", "say them in a sentence each")
        if self.name:
            checked_name(self.name)
