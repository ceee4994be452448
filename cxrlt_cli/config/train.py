"""Options of `cxrlt train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cxrlt_cli.config.decoder_flags import check_decoder, decoder_sizes
from cxrlt_cli.config.ranges import check_fractions, check_not_negative, check_positive, check_seed
from cxrlt_cli.config.train_checks import check_freeze, check_smoothing, check_two_way
from cxrlt_cli.config.train_grammar import (
    AverageSpec,
    LossSpec,
    SamplingSpec,
    Term,
    parse_average,
    parse_loss,
    parse_reweight,
    parse_sampling,
    parse_save_every,
    parse_source_weights,
)
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name

_POSITIVE = (
    "epochs",
    "batch_size",
    "rate",
    "encoder_lr",
    "decoder_layers",
    "decoder_heads",
    "decoder_width",
    "decoder_feedforward",
    "rank_timeout",
)
_FRACTIONS = (
    "warmup",
    "decoder_dropout",
    "label_smoothing",
    "mosaic",
    "reweight_from",
    "drop_path",
    "blur",
    "noise",
    "erasing",
)


@dataclass(frozen=True)
class TrainConfig:
    """Train a network, validated by each class's AP.

    It learns from dataset.parquet, with label_embeddings.parquet as queries, into runs/NAME: history.jsonl holds each
    class's AP, best.pt the weights of the highest mean. SIGTERM and SIGUSR1 save and stop; the same command with --resume
    goes on.
    """

    encoder: str = flag(
        "resnet50",
        "Visual encoder, its features before pooling: torchvision's resnet50, densenet121, convnext_small, efficientnet_v2_s, "
        "swin_v2_t …, or timm:NAME.",
        metavar="NAME",
    )
    weights: str = flag(
        "auto",
        "Start of the encoder: none (random), imagenet (after `cxrlt fetch`), auto (imagenet where its file is in torch's "
        "cache, else none), a state dict of torchvision or timm, or a run, of which all is taken that has the same shape.",
        metavar="auto|none|imagenet|FILE|RUN",
    )
    freeze: Literal["none", "encoder"] = flag(
        "none", "encoder: it stays as it was loaded, batch norms too; the rest is learned anew (classifier re-training)."
    )
    drop_path: float = flag(0.0, "Stochastic depth: up to this share of residual branches is left out in training.")
    stride: Literal["32", "16", "8"] = flag(
        "32", "Pixels along a step of the feature map; 16 leaves out the last halving, 8 the last two, for small findings."
    )
    layer_decay: float = flag(
        1.0, "Layer-wise rate decay: each layer of the encoder learns by this factor slower than the next; 1 is off."
    )
    queries: Literal["text", "tuned", "learned", "glori", "none", "csra"] = flag(
        "text",
        "What asks the image for each label: its text embedding, kept or tuned; a learned vector; the head of CheXFound "
        "(glori); none (global pooling and a linear layer); or class-specific residual attention.",
    )
    classifier: Literal["separate", "shared", "mlp"] = flag(
        "separate", "One linear classifier for each label, one shared by all, or a small network for each."
    )
    decoder: Literal["residual", "transformer"] = flag(
        "residual",
        "Decoder of the label queries. residual: each label's query pools the features and steers a residual branch; starts "
        "equal to a linear head. transformer: as published (KAD); needs many more steps.",
    )
    label_attention: Literal["on", "off"] = flag(
        "on", "Self-attention among the labels; the residual decoder has it from its second layer on."
    )
    reweight: str = flag(
        "",
        "Class weights, comma-separated terms that multiply: hardK:F (the K classes of lowest validation AP, times F), NAME:F, "
        "head:F, medium:F, tail:F, inverse-sqrt, effective:BETA, @FILE.csv (class,weight).",
        metavar="TERMS",
    )
    hard_from: Path | None = flag(None, "Run or evaluation that says which classes are hard [default: the newest finished run]")
    reweight_from: float = flag(
        0.0, "Class weights count only after this share of the training (deferred re-weighting); 0 is from the start."
    )
    loss: str = flag(
        "bce",
        "bce, focal[:GAMMA], asl[:G-/G+/CLIP], ldam[:MARGIN/SCALE], db[:LAMBDA] or two-way[:T]; all leave out unknown labels.",
        metavar="LOSS",
    )
    balance: Literal["none", "prevalence"] = flag(
        "none", "prevalence: a positive weighs exp(1 - p), a negative exp(p), p being the class's share of positives."
    )
    label_smoothing: float = flag(
        0.0, "Targets of 0 and 1 become E/2 and 1 - E/2; 0 is off. Not with asl or ldam.", metavar="E"
    )
    logit_adjustment: float = flag(
        0.0, "Times this, the log-odds of each class's prior enter the loss; 0 is off.", metavar="TAU"
    )
    sampling: str = flag(
        "none", "How often an image is drawn: none (once), repeat-factor[:T], class-balanced, square-root.", metavar="RULE"
    )
    source_weight: tuple[str, ...] = flag(
        (), "Images of a source are drawn this many times as often as others: SOURCE=F; may be repeated.", metavar="SOURCE=F"
    )
    mixup: float = flag(0.0, "MixUp: images and labels are mixed with shares from Beta(A, A); 0 is off.", metavar="A")
    cutmix: float = flag(0.0, "CutMix: a box of another image, of a share from Beta(A, A); 0 is off.", metavar="A")
    mosaic: float = flag(0.0, "Mosaic: this share of the batches shows four images in one; 0 is off.", metavar="P")
    augment: Literal["standard", "none"] = flag(
        "standard", "standard: flip, small rotation, zoom, shift, contrast, brightness."
    )
    blur: float = flag(0.0, "This share of the images is blurred; 0 is off.", metavar="P")
    noise: float = flag(0.0, "This share of the images is made noisy; 0 is off.", metavar="P")
    erasing: float = flag(0.0, "Random erasing: this share of the images loses a rectangle; 0 is off.", metavar="P")
    average: str = flag(
        "none",
        "Weights that are validated and kept: none (the last), ema[:DECAY] or swa[:SHARE] of the training.",
        metavar="RULE",
    )
    epochs: int = flag(20, "Passes over the training images.")
    batch_size: int = flag(64, "Images a step.")
    rate: float = flag(1e-4, "Peak learning rate of AdamW.", name="--lr")
    encoder_lr: float = flag(
        1.0, "The encoder learns at this factor of --lr; --layer-decay multiplies with it.", metavar="FACTOR"
    )
    weight_decay: float = flag(0.02, "Weight decay of AdamW; none on norms and biases.")
    warmup: float = flag(0.05, "Share of the steps in which the rate rises; afterwards it falls as a cosine.")
    decoder_layers: int | None = flag(None, "Layers of the decoder. [default: 1; transformer: 4]")
    decoder_heads: int | None = flag(None, "Attention heads of the decoder. [default: 4; glori: 8]")
    decoder_width: int | None = flag(None, "Width of the decoder's attention. [default: 256; transformer, glori: 768]")
    decoder_feedforward: int | None = flag(
        None, "Hidden units of its feed-forward part. [default: 512; transformer: 1024; glori: 2048]"
    )
    decoder_dropout: float = flag(0.1, "Dropout in the decoder.")
    decoder_positions: Literal["none", "sine"] = flag(
        "none", "sine: the residual decoder's keys carry 2-D sine positions, so that a query can ask for a place."
    )
    seed: int = flag(0, "Decides everything that is drawn.")
    device: Literal["auto", "cpu", "cuda"] = flag("auto", "Where to compute; auto takes a GPU where there is one.", free=True)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = flag(
        "auto",
        "auto: on a GPU bf16, or fp16 with loss scaling where it has no bf16, else fp32; unless another is found much faster "
        "when the run begins.",
    )
    layout: Literal["auto", "channels-last", "plain"] = flag(
        "auto", "Order of the numbers in memory; auto: what is found faster when the run begins."
    )
    accumulate: int = flag(
        1,
        "A step's batch goes through the network in so many parts, whose gradients are added up; 0: as few as memory holds. "
        "Batch norms see parts.",
        metavar="N",
    )
    checkpointing: bool = flag(
        False,
        "Keep less of the forward pass and compute it again on the way back: a third more time, for much less memory.",
        name="--checkpointing",
    )
    compile: bool = flag(
        False, "Compile the network by torch.compile; where that fails it goes on without, and says so.", name="--compile"
    )
    dataset: Path | None = flag(None, "Images and labels [default: dataset.parquet]")
    embeddings: Path | None = flag(None, "Label embeddings [default: label_embeddings.parquet]")
    save_every: str = flag(
        "15m",
        "Within an epoch, save the state after so many steps (N) or minutes (Nm); 0 saves at its end only.",
        metavar="N|Nm",
        free=True,
    )
    tensorboard: bool = flag(
        False, "Also write TensorBoard events: pip install cxrlt[tensorboard].", name="--tensorboard", free=True
    )
    rank_timeout: float = flag(600.0, "Of several processes: seconds after which one that hangs ends the training.", free=True)
    name: str = flag("", "Name of the run: runs/NAME [default: from encoder, reweight, loss, sampling and seed]")
    resume: bool = flag(
        False, "Go on with this run where it stopped; start it where there is none.", name="--resume", free=True
    )
    overwrite: bool = flag(False, "Replace an existing run.", name="--overwrite", free=True)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.resume and self.overwrite:
            raise UserError("--resume and --overwrite exclude each other", "--resume goes on, --overwrite begins again")
        self._check_grammars()
        self._check_ranges()
        self._check_pairs()
        checked_name(self.run_name)

    def _check_grammars(self) -> None:
        """Every value that is a text with a grammar is parsed: an unknown one is an error now, before any work."""
        self.loss_spec, self.average_spec, self.sampling_spec, self.reweight_terms  # noqa: B018
        self.source_weights, self.saved_every  # noqa: B018

    def _check_pairs(self) -> None:
        """Flags that mean nothing together."""
        given = {
            "--decoder": self.decoder,
            "--label-attention": self.label_attention,
            "--decoder-positions": self.decoder_positions,
        }
        check_decoder(self.queries, self.classifier, given, self.decoder_size)
        check_freeze(self.freeze, self.weights, self.encoder_lr)
        check_smoothing(self.loss_spec, self.label_smoothing)
        check_two_way(self.loss_spec, self.balance, self.accumulate)
        if self.hard_from and not any(term.kind == "hard" for term in self.reweight_terms):
            raise UserError("--hard-from names the run for --reweight hardK:F, which is not given", "as in --reweight hard9:3")

    @property
    def decoder_size(self) -> dict[str, Any]:
        """Sizes of the decoder as `DecoderSize` takes them: those given, else the decoder's own."""
        given = {name: getattr(self, f"decoder_{name}") for name in ("layers", "heads", "width", "feedforward")}
        sizes = decoder_sizes("glori" if self.queries == "glori" else self.decoder, given)
        return {**sizes, "dropout": self.decoder_dropout, "positions": self.decoder_positions == "sine"}

    def _check_ranges(self) -> None:
        check_positive(self, _POSITIVE)
        check_fractions(self, _FRACTIONS)
        check_not_negative(self, ("mixup", "cutmix", "weight_decay", "logit_adjustment", "accumulate"))
        if not 0 < self.layer_decay <= 1:
            raise UserError(f"--layer-decay {self.layer_decay} is not within 0 … 1", "as in 0.8; 1 is off")

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
        if self.name:
            return self.name
        said = (self.reweight, self.loss if self.loss != "bce" else "", self.sampling if self.sampling != "none" else "")
        encoder = "".join(_in_a_name(mark) for mark in self.encoder.removeprefix("timm:"))
        terms = ["".join(_in_a_name(mark) for mark in text) for text in said]
        return "-".join(part for part in (encoder, *terms, f"seed{self.seed}" if self.seed else "") if part)


def _in_a_name(mark: str) -> str:
    return mark if mark.isalnum() or mark in ".-" else "x" if mark == ":" else "_"
