"""Options of `cxrlt train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from cxrlt_cli.config import train_checks
from cxrlt_cli.config.decoder_flags import decoder_sizes
from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.config.ranges import check_seed
from cxrlt_cli.config.train_grammar import (
    AVERAGE_FORMS,
    LOSS_FORMS,
    SAMPLING_FORMS,
    AverageSpec,
    LossSpec,
    SamplingSpec,
    Term,
    TuneSpec,
    parse_average,
    parse_loss,
    parse_reweight,
    parse_sampling,
    parse_save_every,
    parse_source_weights,
    parse_tune,
)
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class TrainConfig:
    """Train a network and validate it after every epoch.

    Reads dataset.parquet and label_embeddings.parquet, writes runs/NAME: history.jsonl has the AP of each class per epoch,
    best.pt the weights of the epoch with the highest validation mAP. SIGTERM and SIGUSR1 save the state and stop; the same
    command with --resume continues.
    """

    #: Field -> the panel of `--help` that begins with it.
    PANELS: ClassVar[dict[str, str]] = {
        "dataset": "Data",
        "encoder": "Network",
        "loss": "Loss",
        "sampling": "Sampling",
        "augment": "Augmentation",
        "epochs": "Optimisation",
        "device": "Hardware",
        "name": "Run",
    }

    dataset: Path | None = flag(None, "Dataset with images and labels [default: dataset.parquet]")
    embeddings: Path | None = flag(None, "Label embeddings [default: label_embeddings.parquet]")
    fold: int | None = flag(
        None, "Train on the other folds of merge --folds and validate on this one, counted from 0.", metavar="K", most=1000
    )
    features: str = flag(
        "",
        "Train the decoder and the classifiers on the maps that cxrlt features made, a name under features/ or a file, instead "
        "of pixels. --encoder and --weights are those of the maps.",
        metavar="NAME",
    )
    encoder: str = flag(
        "resnet50",
        "Image encoder: a network of torchvision, as resnet50, densenet121, convnext_small, efficientnet_v2_s or swin_v2_t; "
        "timm:NAME; or a published one: hf:OWNER/NAME, timm:hf-hub:OWNER/NAME, timm:local-dir:PATH, "
        "open_clip:hf-hub:OWNER/NAME, xrv:densenet121-res224-all, or a folder of transformers (./NAME).",
        metavar="NAME",
    )
    weights: str = flag(
        "auto",
        "Initial weights of the encoder. none: random. imagenet: from torch's cache (cxrlt fetch). pretrained: those of a "
        "published encoder. auto: pretrained, or imagenet if it is in the cache, else none. Or a state dict (.pth, "
        ".safetensors), or a run: every tensor of equal shape is loaded.",
        metavar="auto|none|imagenet|pretrained|FILE|RUN",
    )
    tune: str | None = flag(
        None,
        "What of the encoder is trained. full: all. head: nothing, it stays as loaded, with its batch norms. lora:RANK: "
        "low-rank terms added to the weights of its linear layers. [default: full; with --features: head]",
        metavar="full|head|lora:RANK",
        usual="full",
    )
    freeze: Literal["none", "encoder"] = flag("none", "encoder: the same as --tune head (classifier re-training).")
    stride: Literal["32", "16", "8"] = flag(
        "32",
        "Pixels per cell of the feature map. 16 or 8 skips the last one or two halvings, for small findings.",
    )
    drop_path: float = flag(0.0, "Stochastic depth: highest probability to skip a residual branch in training, 0 to 1.")
    queries: Literal["text", "tuned", "learned", "glori", "none", "csra"] = flag(
        "text",
        "Queries of the label decoder. text: label embeddings. tuned: label embeddings, trained. learned: free vectors. glori: "
        "the head of CheXFound. none: global pooling and a linear layer. csra: class-specific residual attention.",
    )
    classifier: Literal["separate", "shared", "mlp", "text"] = flag(
        "separate",
        "Classifier after the decoder: a linear layer per label, one for all labels, or a small MLP per label. text: one for "
        "all, its weights made from the label's text, so that cxrlt predict --labels can score other labels.",
    )
    decoder: Literal["residual", "transformer"] = flag(
        "residual",
        "Decoder of the label queries. residual: starts as a linear head, attention adds to it. transformer: as published "
        "(KAD), needs many more steps.",
    )
    label_attention: Literal["on", "off"] = flag(
        "on", "Self-attention among the labels. The residual decoder has it from its second layer on."
    )
    decoder_layers: int | None = flag(None, "Decoder layers. [default: 1; transformer: 4]", most=100)
    decoder_heads: int | None = flag(None, "Attention heads. [default: 4; glori: 8]", most=1024)
    decoder_width: int | None = flag(
        None, "Attention width, a multiple of the heads. [default: 256; transformer, glori: 768]", most=1 << 16
    )
    decoder_feedforward: int | None = flag(
        None, "Feed-forward width. [default: 512; transformer: 1024; glori: 2048]", most=1 << 18
    )
    decoder_dropout: float = flag(0.1, "Dropout of the decoder, 0 to 1.")
    decoder_positions: Literal["none", "sine"] = flag(
        "none", "sine: add 2-D sine positions to the keys of the residual decoder, so that a query can attend to a place."
    )
    loss: str = flag(
        "bce",
        f"Loss: {LOSS_FORMS}. Unknown labels are left out.",
        metavar="LOSS",
    )
    balance: Literal["none", "prevalence"] = flag(
        "none", "prevalence: weight positives by exp(1 - p) and negatives by exp(p), where p is the prevalence of the class."
    )
    label_smoothing: float = flag(
        0.0, "Label smoothing: targets 0 and 1 become E/2 and 1 - E/2, E from 0 to 1. Not with asl or ldam.", metavar="E"
    )
    logit_adjustment: float = flag(
        0.0, "Logit adjustment: add TAU times the log-odds of each class's prior to its logit in the loss.", metavar="TAU"
    )
    reweight: str = flag(
        "",
        "Class weights, a product of comma-separated terms: hardK:F (the K classes of lowest validation AP), NAME:F "
        "(one class), head:F, medium:F, tail:F, inverse-sqrt, effective:BETA, @FILE.csv (columns class,weight).",
        metavar="TERMS",
    )
    hard_from: Path | None = flag(
        None, "Run or validation evaluation that decides which classes are hard [default: the newest finished run]"
    )
    reweight_from: float = flag(
        0.0, "Deferred re-weighting: apply class weights only after this fraction of the training, 0 to 1."
    )
    sampling: str = flag(
        "none",
        f"How often an image is drawn in an epoch: {SAMPLING_FORMS}. THRESHOLD: frequency below which classes are repeated.",
        metavar="RULE",
    )
    source_weight: tuple[str, ...] = flag(
        (), "Draw images of SOURCE with this relative weight; may be repeated.", metavar="SOURCE=WEIGHT"
    )
    augment: Literal["standard", "none"] | None = flag(
        None,
        "standard: random flip, small rotation, zoom, shift, contrast and brightness. [default: standard; with --features: "
        "none]",
        usual="standard",
    )
    mixup: float = flag(0.0, "MixUp: alpha of the Beta distribution; 0 is off.", metavar="ALPHA")
    cutmix: float = flag(0.0, "CutMix: alpha of the Beta distribution; 0 is off.", metavar="ALPHA")
    mosaic: float = flag(0.0, "Mosaic of four images: fraction of batches, 0 to 1.", metavar="P")
    blur: float = flag(0.0, "Gaussian blur: fraction of images, 0 to 1.", metavar="P")
    noise: float = flag(0.0, "Gaussian noise: fraction of images, 0 to 1.", metavar="P")
    erasing: float = flag(0.0, "Random erasing of a rectangle: fraction of images, 0 to 1.", metavar="P")
    epochs: int = flag(20, "Passes over the training images.")
    patience: int = flag(
        0,
        "Stop when validation mAP has not improved for N epochs; 0: never. The learning rate still follows --epochs. --resume "
        "with a larger N continues.",
        metavar="N",
        free=True,
    )
    batch_size: int = flag(64, "Images per step, over all GPUs.")
    lr: float = flag(1e-4, "Peak learning rate of AdamW.", saved_as="rate")
    encoder_lr: float = flag(1.0, "Learning rate of the encoder as a factor of --lr.", metavar="FACTOR")
    layer_decay: float = flag(
        1.0, "Layer-wise learning rate decay: factor from each encoder layer to the one before it, 0 to 1; 1 is off."
    )
    weight_decay: float = flag(0.02, "Weight decay of AdamW, except for norms and biases.")
    warmup: float = flag(0.05, "Fraction of steps in which the learning rate rises, 0 to 1. It then falls as a cosine.")
    average: str = flag(
        "none",
        f"Average of the weights that is validated and saved: {AVERAGE_FORMS}. DECAY: per step. FRACTION: where SWA starts.",
        metavar="RULE",
    )
    accumulate: int = flag(
        1,
        "Gradient accumulation: split each batch into N micro-batches; 0: as few as fit in memory. BatchNorm statistics are "
        "per micro-batch.",
        metavar="N",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = flag("auto", "Device; auto: a CUDA GPU if there is one.", free=True)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = flag(
        "auto",
        "Precision of convolutions and matrix products. auto: bf16 or fp16 on a GPU, fp32 on a CPU, or what is measured to "
        "be much faster.",
    )
    layout: Literal["auto", "channels-last", "plain"] = flag("auto", "Memory layout. auto: the one measured to be faster.")
    checkpointing: bool = flag(
        False, "Gradient checkpointing: about one third slower, much less memory.", name="--checkpointing"
    )
    compile: bool = flag(
        False, "Compile the network with torch.compile; if that fails, warn and continue without it.", name="--compile"
    )
    rank_timeout: float = flag(
        600.0, "With several processes: seconds without an answer from one of them before the training ends.", free=True
    )
    name: str = flag("", "Name of the run: runs/NAME [default: from encoder, reweight, loss, sampling and seed]")
    seed: int = flag(0, "Random seed of initial weights, order, augmentation and dropout.", most=(1 << 63) - 1)
    save_every: str = flag(
        "15m", "Save the state within an epoch every N steps or N minutes; 0: only at its end.", metavar="N|Nm", free=True
    )
    tensorboard: bool = flag(
        False, "Also write TensorBoard events (pip install cxrlt[tensorboard]).", name="--tensorboard", free=True
    )
    verify: bool = flag(False, "First compare all pixels with their checksums.", name="--verify", free=True)
    resume: bool = flag(False, "Continue the run where it stopped; start it if there is none.", name="--resume", free=True)
    overwrite: bool = flag(False, "Replace an existing run.", name="--overwrite", free=True)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.resume and self.overwrite:
            raise UserError("--resume and --overwrite exclude each other", "--resume continues, --overwrite starts again")
        usual = ("head", "none") if self.features else ("full", "standard")
        for name, value in zip(("tune", "augment"), usual, strict=True):
            object.__setattr__(self, name, getattr(self, name) or value)
        self._check_grammars()
        if self.tune_spec.kind == "head":
            object.__setattr__(self, "freeze", "encoder")  # two flags with one meaning
        train_checks.check_ranges(self)
        train_checks.check_features(self)
        train_checks.check_pairs(self)
        checked_name(self.run_name)

    def _check_grammars(self) -> None:
        """Parses every value with a grammar, so that a wrong one is an error before any work."""
        self.loss_spec, self.average_spec, self.sampling_spec, self.reweight_terms  # noqa: B018
        self.source_weights, self.saved_every, self.tune_spec, parse_encoder(self.encoder)

    @property
    def decoder_size(self) -> dict[str, Any]:
        """Sizes of the decoder as `DecoderSize` takes them: those given, else the decoder's own."""
        given = {name: getattr(self, f"decoder_{name}") for name in ("layers", "heads", "width", "feedforward")}
        sizes = decoder_sizes("glori" if self.queries == "glori" else self.decoder, given)
        return {**sizes, "dropout": self.decoder_dropout, "positions": self.decoder_positions == "sine"}

    @property
    def loss_spec(self) -> LossSpec:
        """Name and numbers of `--loss`."""
        return parse_loss(self.loss)

    @property
    def average_spec(self) -> AverageSpec:
        """Rule and number of `--average`."""
        return parse_average(self.average)

    @property
    def sampling_spec(self) -> SamplingSpec:
        """Rule and threshold of `--sampling`."""
        return parse_sampling(self.sampling)

    @property
    def reweight_terms(self) -> tuple[Term, ...]:
        """The terms of `--reweight`."""
        return parse_reweight(self.reweight)

    @property
    def tune_spec(self) -> TuneSpec:
        """What of the encoder is trained, and the rank of LoRA."""
        return parse_tune(self.tune or "full")

    @property
    def source_weights(self) -> dict[str, float]:
        """Source -> weight with which its images are drawn."""
        return parse_source_weights(self.source_weight)

    @property
    def saved_every(self) -> tuple[int, float]:
        """(steps, seconds) of `--save-every`, 0 for the one that is not given."""
        return parse_save_every(self.save_every)

    @property
    def run_name(self) -> str:
        """The name under `runs/`."""
        said = self.reweight, self.loss, self.sampling
        return self.name or train_checks.name_of_run(parse_encoder(self.encoder), said, self.fold, self.seed)
