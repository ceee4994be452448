"""Options of `cxrlt cache`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from cxrlt_cli.config.grammar import check_pixels, parse_job_shard, parse_values, parse_window
from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.options import flag, flag_of
from cxrlt_cli.workspace import checked_name, shard_name

KINDS = ("mimic-cxr-lt", "chestxray14", "chexpert", "google-nih", "padchest", "padchest-lt", "vindr-cxr", "table")
_TABLE_ONLY = (
    "images", "image_column", "path_column", "patient_column", "study_column", "view_column", "sex_column", "age_column",
    "split_column", "invert_column", "label_columns", "label_column", "separator", "values", "agreement",
)  # fmt: skip


@dataclass(frozen=True)
class CacheConfig:
    """Decode image files once into gray squares in HDF5.

    Writes images/NAME.h5 (pixels), images/NAME.parquet (the labels as published) and images/NAME.failed.csv (images that cannot
    be read, with the reason).
    """

    #: Field -> the panel of `--help` that begins with it.
    PANELS: ClassVar[dict[str, str]] = {
        "source": "Source",
        "size": "Pixels",
        "images": "Table source (--source table=FILE)",
        "shard": "Run",
    }

    source: str = flag(
        "",
        "What to read: mimic-cxr-lt=, chestxray14=, chexpert=, google-nih=, padchest=, padchest-lt= or vindr-cxr=FOLDER as "
        "published, or table=FILE (CSV or Parquet).",
        metavar="KIND=PATH",
    )
    labels: Path | None = flag(None, "Label table of a published source, or its folder [default: in the folder of the source]")
    allow_missing: bool = flag(False, "Continue if the label table lists images that do not exist.", name="--allow-missing")
    size: int = flag(512, "Side of the cached square, 8 to 4096 px.")
    fit: Literal["pad", "crop", "stretch"] = flag(
        "pad", "How to make an image square: pad with black, crop the longer side, or stretch."
    )
    resample: Literal["area", "lanczos"] = flag(
        "area", "Resampling filter. lanczos decodes JPEGs at full resolution first: 3 times slower."
    )
    window: str = flag("", "Percentiles of an image's gray values that become black and white.", metavar="LOW,HIGH")
    clahe: float = flag(
        0.0, "Clip limit of CLAHE (adaptive histogram equalization), 0 to 40; 0 is off, 2 is usual.", metavar="CLIP"
    )
    images: Path | None = flag(None, "Folder that image paths are relative to [default: the table's]")
    image_column: str = flag("image_id", "Column of the image id.")
    path_column: str = flag("", "Column of the image path [default: path or fpath if present, else the image id]")
    patient_column: str = flag("patient_id", "Column of the patient id.")
    study_column: str = flag("", "Column of the study id [default: study_id if present]")
    view_column: str = flag("", "Column of the view, as PA or LATERAL [default: view if present]")
    sex_column: str = flag("", "Column of the sex [default: sex if present]")
    age_column: str = flag("", "Column of the age, in years or as 045Y, 013M, 010D [default: age if present]")
    split_column: str = flag("", "Column of the official split: train, val or test [default: split if present]")
    invert_column: str = flag("", "Column that is 1 or MONOCHROME1 for inverted images, where dense tissue is dark.")
    label_columns: str = flag(
        "",
        "Label columns, comma-separated, or the name of a label space. Values: 1 present, 0 absent, -1 uncertain, blank "
        "unknown.",
        metavar="A,B,C",
    )
    values: str = flag(
        "",
        "Meaning of other words in the label columns, as YES=1,NO=0,HEDGE=-1; WORD= is unknown.",
        metavar="WORD=LABEL,…",
    )
    label_column: str = flag(
        "",
        "Instead of --label-columns, one column that lists the labels of an image: Atelectasis|Effusion, or "
        "['atelectasis', 'effusion']. A label that is not listed is 0, a blank cell unknown.",
        metavar="COLUMN",
    )
    separator: str = flag("|", "Separator of labels in --label-column, unless they are written as a list.")
    agreement: str = flag(
        "",
        "Agreement under which the images were given out, such as 'MIMIC-CXR data use agreement'. Models trained on them carry "
        "it (cxrlt pack).",
        metavar="NAME",
    )
    shard: str = flag(
        "", "Cache shard i (from 0) of n into its own file; slurm: take both from the job array. See cxrlt join.", metavar="i/n"
    )
    name: str = flag("", "Name of the cache: images/NAME.h5 [default: the kind, or the table's name]")
    workers: int = flag(0, "Decoding processes [default: one per core]", free=True, most=1024)
    resume: bool = flag(
        False,
        "Continue an unfinished cache if there is one, and retry failed images. If only labels changed, rewrite the table.",
        name="--resume",
        free=True,
    )
    overwrite: bool = flag(False, "Replace an existing cache.", name="--overwrite", free=True)

    def __post_init__(self) -> None:
        if "=" not in self.source or not self.source.partition("=")[2]:
            raise UserError(f"--source {self.source!r} is not KIND=PATH", f"KIND is one of: {', '.join(KINDS)}")
        if self.kind not in KINDS:
            near = nearest(self.kind, KINDS)
            raise UserError(f"--source: unknown kind {self.kind!r}{near}", f"KIND is one of: {', '.join(KINDS)}")
        if self.resume and self.overwrite:
            raise UserError("--resume and --overwrite exclude each other", "--resume continues, --overwrite starts again")
        if self.workers < 0:
            raise UserError(f"--workers {self.workers} is negative", "0 uses one per core")
        check_pixels(self.size, self.clahe)
        self.part, self.value_labels, parse_window(self.window)
        checked_name(self.artifact_name)
        self._refuse_options_of_the_other_kind()

    def _refuse_options_of_the_other_kind(self) -> None:
        if self.kind == "table":
            self._refuse_unlike_table_options()
            return
        given = [name for name in _TABLE_ONLY if getattr(self, name) != type(self).__dataclass_fields__[name].default]
        if given:
            flags = ", ".join(flag_of(self, name) for name in given)
            raise UserError(f"{flags}: only for --source table=FILE", f"{self.kind} is read as it is published")

    def _refuse_unlike_table_options(self) -> None:
        if self.labels:
            raise UserError("--labels is for published sources", "a table is its own: --source table=FILE")
        if self.label_column and (self.label_columns or self.values):
            raise UserError(
                "--label-column names the labels of an image in one column: --label-columns and --values do not go with it",
                "give --label-column, or --label-columns",
            )
        if not self.separator or (self.separator != "|" and not self.label_column):
            raise UserError(f"--separator {self.separator!r} needs --label-column", "it separates the labels in that column")

    @property
    def value_labels(self) -> dict[str, str]:
        """Word in lower case -> 1, 0, -1, or empty for unknown. Raises UserError where `--values` does not say that."""
        return parse_values(self.values)

    @property
    def kind(self) -> str:
        """The layout that the source is read as."""
        return self.source.partition("=")[0]

    @property
    def path(self) -> Path:
        """Path of the source."""
        return Path(self.source.partition("=")[2])

    @property
    def artifact_name(self) -> str:
        """The name under `images/`."""
        name = self.name or (self.path.name.split(".")[0] if self.kind == "table" else self.kind)
        return shard_name(name, *self.part) if self.shard else name

    @property
    def part(self) -> tuple[int, int]:
        """(i, n) of the shard, (0, 1) without one.

        Raises:
            UserError: not i/n with 0 <= i < n, or `slurm` outside of a job array.
        """
        return parse_job_shard(self.shard)
