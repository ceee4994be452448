"""Options of `cxrlt merge`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from cxrlt_cli.config.grammar import unknown
from cxrlt_cli.config.ranges import check_seed
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag, flag_of

_MISSING = ("absent", "ignore", "pseudo")
_UNCERTAIN = ("ignore", "negative", "positive", "soft:LOW-HIGH")

#: Field -> its policies, and the one where none is given; `blank` follows `missing`.
_POLICIES = {
    "missing": (_MISSING, "absent"),
    "missing_eval": (("ignore", "absent"), "ignore"),
    "blank": (_MISSING, ""),
    "uncertain": (_UNCERTAIN, "ignore"),
}


@dataclass(frozen=True)
class MergeConfig:
    """Merge cached sources into one dataset and split the patients.

    Writes dataset.parquet, one row per image. Labels are matched by name and synonym. Official splits are kept; other patients
    are split so that each class is distributed over train, val and test in the given proportions. Pixels are not copied.
    """

    #: Field -> the panel of `--help` that begins with it.
    PANELS: ClassVar[dict[str, str]] = {
        "source": "Sources",
        "label_space": "Labels",
        "missing": "Missing and uncertain labels",
        "corrections": "Corrections",
        "split": "Split",
        "output": "Output",
    }

    source: tuple[str, ...] = flag(
        (), "Cached source, by its name under images/; may be repeated [default: all]", metavar="NAME"
    )
    duplicate_ids: Literal["refuse", "first", "prefix"] = flag(
        "refuse", "Image id in two sources. first: keep the alphabetically first source. prefix: put SOURCE/ before every id."
    )
    same_picture: Literal["refuse", "first", "keep"] = flag(
        "refuse",
        "Same picture under two patients. refuse: an error if they are in different splits. first: keep one. keep: keep both.",
    )
    label_space: str = flag(
        "",
        "chestxray14 (14), chexpert (14), cxr-lt-2023 (26), cxr-lt-2024 (40), cxr-lt-2026 (30) …, a file with one class per "
        "line, or sources: the labels of the sources [default: chestxray14 if every source is of that kind, else cxr-lt-2023]",
    )
    map: tuple[str, ...] = flag(
        (),
        'Rename a label, "LABEL=CLASS", or leave it out, "LABEL="; or a CSV with the columns source,label,class. A CSV that '
        "does not exist is written with the unknown labels, to be filled in; may be repeated.",
        metavar="LABEL=CLASS|FILE.csv",
    )
    unknown: Literal["refuse", "leave-out"] = flag("refuse", "Labels that are in no label space: an error, or left out.")
    hierarchy: bool = flag(False, "Set the parent classes of a positive finding to positive too.", name="--hierarchy")
    missing: tuple[str, ...] = flag(
        (),
        "Training labels that a source lacks: absent (0, as in the paper), ignore (not in the loss) or pseudo (scores of "
        "--pseudo); SOURCE=POLICY for one source; may be repeated [default: absent]",
        metavar="POLICY",
    )
    missing_eval: tuple[str, ...] = flag(
        (),
        "Validation and test labels that a source lacks: ignore (unknown, not in any metric) or absent (0, counted as "
        "negatives); SOURCE=POLICY for one source; may be repeated [default: ignore]",
        metavar="POLICY",
    )
    blank: tuple[str, ...] = flag(
        (),
        "Labels that a source has but leaves blank for an image, in every split: absent, ignore or pseudo [default: as "
        "--missing]",
        metavar="POLICY",
    )
    uncertain: tuple[str, ...] = flag(
        (),
        "Uncertain labels (-1): ignore, negative, positive, or soft:LOW-HIGH (a training target drawn from that range); "
        "SOURCE=POLICY for one source; may be repeated [default: ignore]",
        metavar="POLICY",
    )
    pseudo: Path | None = flag(None, "Predictions of the training images, for the policy pseudo.", metavar="FILE")
    pseudo_threshold: str = flag(
        "",
        "Pseudo-labels: probabilities up to LOW become 0, from HIGH on 1, unknown between [default: the probability itself]",
        metavar="LOW,HIGH",
    )
    corrections: tuple[Path, ...] = flag(
        (), "Reviewed corrections of `cxrlt clean`: flips the labels marked flip; may be repeated.", metavar="FILE"
    )
    unsure: Literal["keep", "unknown"] = flag("keep", "Labels marked unsure in --corrections: left as they are, or unknown.")
    hold_out: tuple[str, ...] = flag(
        (),
        "Classes that no training label names, so that scores of unlabelled findings can be evaluated; validation and test "
        "keep their labels; may be repeated.",
        metavar="CLASS,CLASS",
    )
    hold_out_as: Literal["left-out", "unknown"] = flag(
        "left-out", "Training images with a held-out class: left out of the dataset, or kept with these labels unknown."
    )
    split: str = flag(
        "70,10,20", "Percent of patients for train, val and test, without an official split.", metavar="TRAIN,VAL,TEST"
    )
    folds: int | None = flag(
        None,
        "Divide the patients outside of test into K folds for cross-validation, instead of into train and val: cxrlt train "
        "--fold, cxrlt study folds.",
        metavar="K",
        most=1000,
    )
    train_only: tuple[str, ...] = flag(
        (), "Source that only adds training images; its official test images are left out; may be repeated.", metavar="NAME"
    )
    seed: int = flag(0, "Random seed of the patient split.", most=(1 << 63) - 1)
    output: Path | None = flag(None, "Dataset to write [default: dataset.parquet]")
    overwrite: bool = flag(False, "Replace an existing dataset.", name="--overwrite", free=True)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for text in self.map:
            if not (text.partition("=")[0].strip() if "=" in text else text.endswith(".csv")):
                raise UserError(
                    f"--map {text!r} is neither LABEL=CLASS nor the name of a CSV",
                    'as in --map "Heart enlarged=Cardiomegaly", --map "Code 7=" or --map labels.csv',
                )
        for name in _POLICIES:
            _refuse_unknown_policies(name, getattr(self, name))
        self._refuse_pseudo_without_scores()
        if self.unsure != "keep" and not self.corrections:
            raise UserError("--unsure needs --corrections", "which file was reviewed? --corrections FILE")
        if self.hold_out_as != "left-out" and not self.hold_out:
            raise UserError("--hold-out-as needs --hold-out", 'which classes? As in --hold-out "Edema,Pneumonia"')
        self._check_folds()
        self.fractions, self.threshold  # noqa: B018 - checked before any work

    def _check_folds(self) -> None:
        if self.folds is not None and self.folds < 2:
            raise UserError(f"--folds {self.folds} is below 2", "as in --folds 5: each fold is held out once, the others train")
        if self.folds and self.hold_out:
            raise UserError(
                "--folds and --hold-out exclude each other: images that one fold holds out train in the others",
                "leave one of them out",
            )

    def _refuse_pseudo_without_scores(self) -> None:
        wanted = any(given.rpartition("=")[2] == "pseudo" for given in (*self.missing, *self.blank))
        if wanted and self.pseudo is None:
            raise UserError(
                "the policy pseudo needs the scores of an earlier run: --pseudo FILE", "make them: cxrlt predict --split train"
            )
        if self.pseudo is not None and not wanted:
            raise UserError("--pseudo is given, but no label is to be filled with it", "say --missing pseudo or --blank pseudo")

    def policy(self, source: str, what: str) -> str:
        """The policy of a source for `missing`, `missing_eval`, `blank` or `uncertain` labels."""
        given: tuple[str, ...] = getattr(self, what)
        own = [text.partition("=")[2] for text in given if text.partition("=")[0] == source and "=" in text]
        common = [text for text in given if "=" not in text]
        if own or common:
            return (own or common)[-1]
        return self.policy(source, "missing") if what == "blank" else _POLICIES[what][1]

    @property
    def named_sources(self) -> list[str]:
        """The sources that policies name."""
        return [text.partition("=")[0] for name in _POLICIES for text in getattr(self, name) if "=" in text]

    @property
    def map_pairs(self) -> dict[str, str]:
        """Label -> class, empty to leave it out."""
        return {label.strip(): name.strip() for label, equals, name in (text.partition("=") for text in self.map) if equals}

    @property
    def map_files(self) -> list[Path]:
        """The CSVs of `--map`."""
        return [Path(text) for text in self.map if "=" not in text]

    @property
    def threshold(self) -> tuple[float, float] | None:
        """LOW and HIGH of the pseudo-labels. Raises UserError where they are none."""
        if not self.pseudo_threshold:
            return None
        try:
            low, high = (float(part) for part in self.pseudo_threshold.split(","))
        except ValueError:
            low, high = 1.0, 0.0
        if not 0 <= low <= high <= 1:
            raise UserError(
                f"--pseudo-threshold {self.pseudo_threshold!r} is not LOW,HIGH with 0 <= LOW <= HIGH <= 1", "as in 0.1,0.9"
            )
        return low, high

    @property
    def fractions(self) -> tuple[float, float, float]:
        """Fractions of train, val and test, which sum to 1.

        Raises:
            UserError: not three percentages that sum to 100, or no training images.
        """
        try:
            train, val, test = (float(part) / 100 for part in self.split.split(","))
        except ValueError:
            train, val, test = -1.0, 0.0, 0.0
        if not (train > 0 <= min(val, test) and abs(train + val + test - 1) <= 1e-9):
            raise UserError(
                f"--split {self.split!r} is not three percentages that make 100, the first above 0", "as in --split 70,10,20"
            )
        return train, val, test


def _refuse_unknown_policies(name: str, given: Sequence[str]) -> None:
    known = _POLICIES[name][0]
    for text in given:
        policy = text.rpartition("=")[2]
        if policy not in known[:3] and not (name == "uncertain" and _is_soft(policy)):
            expected = f"{', '.join(known)}, or SOURCE=POLICY for one source"
            raise unknown(flag_of(MergeConfig, name), text, expected, known)


def _is_soft(policy: str) -> bool:
    number = r"(0(?:\.\d+)?|1(?:\.0+)?)"
    match = re.fullmatch(f"soft:{number}-{number}", policy)
    return match is not None and float(match[1]) <= float(match[2])
