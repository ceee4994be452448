"""The content of a model card.

Its headings are sections and items of CLAIM, the Checklist for Artificial Intelligence in Medical Imaging (Tejani et al., 2024
update, Radiology: Artificial Intelligence). Items that cxrlt cannot answer are listed at the end, for the authors.
"""

from dataclasses import dataclass, field
from typing import Any

from cxrlt_cli import __version__
from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.pack import Pack, PackedRun
from cxrlt_cli.config.saved_options import changed_options, flag_of_saved
from cxrlt_cli.errors import listed
from cxrlt_cli.share.card_data import data_sections
from cxrlt_cli.share.card_metrics import main_result, result_items, uncertainty
from cxrlt_cli.share.card_pages import Item, Section, Table
from cxrlt_cli.share.traces import OTHER_WEIGHTS
from cxrlt_cli.sources.terms import agreements_of

_ALWAYS_SHOWN = ("loss", "epochs", "batch_size", "rate", "seed")
_MOST_TEXTS = 3  # texts of a class that are shown
_START = {"none": "Random weights.", "imagenet": "ImageNet weights of torchvision, for the encoder.", None: "Not recorded."}
_OPEN_ITEMS = (
    "Study design, prospective or retrospective",
    "Inclusion and exclusion criteria, dates and places of the data",
    "Scanners and acquisition protocol",
    "How the data were de-identified",
    "Who annotated, with which training, and how much annotators agree",
    "Results on data of another institution",
    "Ethics approval, registration, funding and conflicts of interest",
)


@dataclass(frozen=True)
class CardContent:
    """What a card is made from.

    Attributes:
        pack: the model.
        purpose, users: what it is for, and for whom: sentences of the author.
        metrics: of `artifacts.evaluation.shared_evaluation`; None without an evaluation.
        dataset: of the training; None where it is no longer there.
        unfinished: name of a run -> its state, of runs whose training has not ended.
    """

    pack: Pack
    purpose: str
    users: str
    metrics: dict[str, Any] | None
    dataset: Dataset | None
    unfinished: dict[str, str] = field(default_factory=dict)


def card_sections(content: CardContent) -> list[Section]:
    """The sections of a card."""
    pack, metrics = content.pack, content.metrics
    return [
        Section(
            "Summary", [_about(pack, metrics), Item("Intended use", [content.purpose]), Item("Intended users", [content.users])]
        ),
        *data_sections(pack, content.dataset),
        Section("Model", [_description(pack), _classes(pack), _software(), _initialization(pack)]),
        Section("Training", [_approach(pack), _selection(content.unfinished), _ensembling(pack)]),
        Section("Evaluation", [_calibration(pack), *uncertainty(metrics)]),
        Section("Results", result_items(metrics)),
        Section("Limitations", [_limitations(metrics), Item("For the authors to add", list(_OPEN_ITEMS), kind="list")]),
        Section("Access", [_terms(pack), _use(pack)]),
    ]


def _about(pack: Pack, metrics: dict[str, Any] | None) -> Item:
    classes = pack.runs[0].checkpoint.classes
    kind = f"an ensemble of {len(pack.runs)} networks" if len(pack.runs) > 1 else "one network"
    text = f"{pack.name} scores {len(classes)} findings in chest radiographs. It is {kind}, and no medical device."
    return Item("", [text, main_result(metrics), _terms(pack).paragraphs[0]])


def _description(pack: Pack) -> Item:
    rows = [(run.name, *_architecture(run)) for run in pack.runs]
    size = pack.runs[0].checkpoint.pixels["size"]
    text = f"Input: one gray image of {size} x {size} px. Output: one logit per class."
    return Item("Description", [text], Table(("run", "encoder", "head", "trained weights", "epoch"), rows))


def _architecture(run: PackedRun) -> tuple[str, str, str, str]:
    spec, count = run.checkpoint.spec, run.checkpoint.config.weight_count
    queries = spec.get("queries")
    heads = {"none": "pooling and linear", "csra": "class-specific residual attention", "glori": "GLoRI"}
    head = heads.get(str(queries), f"{spec.get('kind', 'transformer')} label-query decoder, {queries} queries")
    return str(spec["encoder"]), head, "" if count is None else f"{count:,}", str(run.checkpoint.epoch)


def threshold_text(probability: float) -> str:
    """Three decimals, or words where these would be 0.000 or 1.000: at such thresholds all images or none are positive."""
    if probability < 0.001:
        return "below 0.001"
    return "above 0.999" if probability > 0.999 else f"{probability:.3f}"


def _classes(pack: Pack) -> Item:
    first = pack.runs[0].checkpoint
    texts = first.config.label_texts
    held = texts.held_out if texts else []
    rows = [
        (
            name,
            listed(texts.prompts.get(name, []), _MOST_TEXTS) if texts else "",
            threshold_text(pack.thresholds[name]) if name in pack.thresholds else "",
        )
        for name in first.classes
    ]
    paragraphs = [f"Never trained on: {', '.join(held)}."] if held else []
    if pack.thresholds:
        paragraphs.append(
            "Threshold: the probability with the best F1 on the images of the evaluation or on validation; exact in pack.json."
        )
    return Item("Classes", paragraphs, Table(("class", "text of the query", "threshold"), rows))


def _software() -> Item:
    return Item("Software", [f"cxrlt {__version__}, with PyTorch. Score with: cxrlt predict --pack FILE."])


def _initialization(pack: Pack) -> Item:
    return Item("Initialization", [f"{run.name}: {_start(run)}" for run in pack.runs])


def _start(run: PackedRun) -> str:
    config = run.checkpoint.config
    if config.encoder_origin:
        return f"Published weights of the encoder: {config.encoder_origin.described}."
    if config.encoder_weights == OTHER_WEIGHTS:
        return "Weights of a file or of another run, whose sources are part of the data sources above if cxrlt trained it."
    return _START.get(config.encoder_weights, "Not recorded.")


def _approach(pack: Pack) -> Item:
    rows = []
    for run in pack.runs:
        options = run.checkpoint.config.options
        shown = {name: value for name, value in options.items() if name in _ALWAYS_SHOWN} | changed_options(options)
        rows.append((run.name, ", ".join(f"{flag_of_saved(name)} {value}" for name, value in shown.items())))
    stored = [_stored(run) for run in pack.runs if run.checkpoint.config.features]
    return Item("Approach", stored, Table(("run", "options of cxrlt train"), rows))


def _stored(run: PackedRun) -> str:
    made = run.checkpoint.config.features
    assert made is not None
    pooled = f", averaged over {made.grid} x {made.grid} cells" if made.grid else ""
    views = f", {made.views} views of an image" if made.views > 1 else ""
    return f"{run.name}: the encoder was frozen, and the head was trained on its stored maps{pooled}{views}."


def _selection(unfinished: dict[str, str]) -> Item:
    text = "The epoch with the highest mean average precision on the validation split."
    early = [f"The training of {name} had not ended ({state})." for name, state in unfinished.items()]
    return Item("Selection of the final model", [text, *early])


def _ensembling(pack: Pack) -> Item:
    if len(pack.runs) == 1:
        return Item("Ensembling", ["None."])
    total = sum(run.weight for run in pack.runs)
    how = {
        "geomean": "the geometric mean of probabilities",
        "mean": "the mean of probabilities",
        "logits": "the mean of logits",
    }
    rows = [(run.name, f"{run.weight / total:.3f}") for run in pack.runs]
    return Item("Ensembling", [f"Runs are merged by {how[pack.merge]}."], Table(("run", "weight"), rows))


def _calibration(pack: Pack) -> Item:
    if pack.calibration is None:
        return Item("Calibration", ["None: probabilities rank images, and are no frequencies."])
    changed = sum(bool(fit) for fit in pack.calibration.fitted.values())
    return Item(
        "Calibration",
        [f"{pack.calibration.method}, of {changed} of {len(pack.calibration.fitted)} classes, fitted on the validation split."],
    )


def _limitations(metrics: dict[str, Any] | None) -> Item:
    known = [
        "Scores change with scanner, hospital, population and image processing: measure the model on images of your own first.",
        "Labels of most public datasets are extracted from reports by software. Some are wrong, and count as right here.",
        "A probability is right on average only after calibration on images like those that are scored.",
        "The model sees one image: no earlier study, no report, no history.",
    ]
    if metrics is None:
        known.insert(0, "This pack has no evaluation: nothing is known of how well the model scores.")
    else:
        rare = [row["class"] for row in metrics["per_class"] if (row.get("positive_patients") or 0) < _FEW]
        if rare:
            known.insert(
                0, f"Fewer than {_FEW} patients of the evaluation have: {', '.join(rare)}. Their metrics are uncertain."
            )
    return Item("", known, kind="list")


_FEW = 20  # patients with a finding, below which its metrics are called uncertain


def _terms(pack: Pack) -> Item:
    if pack.data_sources is None:
        return Item("Terms", ["The data sources are not recorded. Ask the authors before you use or pass on this model."])
    found = agreements_of(pack.data_sources)
    if not found:
        return Item(
            "Terms", ["No source was given out under an agreement, as far as recorded. Keep to the terms of the sources."]
        )
    return Item(
        "Terms",
        [
            f"Credentialed. The model learned from images given out under: {'; '.join(found)}.",
            "Give it only to people who signed the same agreement, and do not put it on public platforms.",
        ],
    )


def _use(pack: Pack) -> Item:
    calibrated = " --calibrate pack" if pack.calibration else ""
    return Item("How to score", [f"cxrlt predict --pack {pack.name}.zip --images FOLDER{calibrated}"], kind="code")
