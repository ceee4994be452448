"""`predict --zero-shot`: a model of images and texts scores labels without training; open_clip's own functions say which."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, Run
from PIL import Image
from shared import copied, made_once
from tiny_encoders import OPEN_CLIP, into_cache, save_open_clip

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.json_files import read_json
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.encoders.fetch import fetch_text_tower
from cxrlt_cli.encoders.two_towers import read_two_towers, text_directions

TEMPLATES = ("{}", "a radiograph of {}")
LABELS = "class,prompt\n" + "".join(f"{name},{form.format(name.lower())}\n" for name in CLASSES for form in TEMPLATES)
SIGLIP = {"custom_text": True, "init_logit_bias": -3.0, "vision_cfg": {**OPEN_CLIP["vision_cfg"], "image_size": 48}}


@pytest.fixture(scope="session")
def open_clip() -> Any:
    return pytest.importorskip("open_clip", reason="open_clip is not installed: pip install 'cxrlt[open_clip]'")


@pytest.fixture(scope="session")
def made_towers(open_clip: Any, made_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 32 px, and two models: `clip` takes 32 px, `siglip` has a bias and takes 48 px."""

    def make(folder: Path) -> None:
        copied(made_dataset, folder)
        save_open_clip(folder / "clip")
        save_open_clip(folder / "siglip", {"interpolation": "bilinear", "resize_mode": "squash"}, **SIGLIP)

    return made_once(tmp_path_factory, "two-towers", make)


@pytest.fixture
def towers(open_clip: Any, made_towers: Path, tmp_path: Path) -> Path:
    """The workspace of `made_towers`, with the file `labels.csv`."""
    folder = copied(made_towers, tmp_path)
    (folder / "labels.csv").write_text(LABELS)
    return folder


def scored(cxrlt: Run, model: str, *flags: object) -> str:
    """Scores with a model of the workspace; what was said."""
    ended = cxrlt("predict", "--zero-shot", f"open_clip:local-dir:{model}", "--labels", "labels.csv", "--name", model, *flags)
    assert ended.code == 0, ended.err
    return ended.err


def expected(open_clip: Any, folder: Path, squares: list[np.ndarray]) -> torch.Tensor:
    """The logits by open_clip alone: its transform, its image tower, its classifier of several templates."""
    network, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    images = torch.stack([transform(Image.fromarray(square).convert("RGB")) for square in squares])
    names = [name.lower() for name in CLASSES]
    forms = [lambda name, form=form: form.format(name) for form in TEMPLATES]
    with torch.no_grad():
        classifier = open_clip.build_zero_shot_classifier(network.eval(), tokenizer, names, forms)
        logits = network.logit_scale.exp() * network.encode_image(images, normalize=True) @ classifier
    return logits if network.logit_bias is None else logits + network.logit_bias


@pytest.mark.parametrize("model", ["clip", "siglip"])
def test_scores_of_a_split_are_open_clips_own(model: str, open_clip: Any, towers: Path, cxrlt: Run) -> None:
    said = scored(cxrlt, model)
    assert ("images of 32 px are enlarged to the 48 px" in said) == (model == "siglip")
    part = read_dataset(towers / "dataset.parquet").split("test")
    squares = list(DatasetImages(part).read(np.arange(len(part.table))))
    found = read_predictions(towers / f"predictions/{model}.parquet")
    assert found.image_ids == list(part.table["image_id"])
    assert found.classes == CLASSES
    own = expected(open_clip, towers / model, squares)
    assert np.ptp(found.logits, axis=0).min() > 1e-3
    assert torch.allclose(torch.from_numpy(found.logits), own, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("model", "fit"), [("clip", "crop"), ("siglip", "stretch")])
def test_files_of_a_folder_are_prepared_as_the_model_prepares_them(
    model: str, fit: str, open_clip: Any, towers: Path, cxrlt: Run
) -> None:
    side = {"clip": 32, "siglip": 48}[model]
    squares = list(np.random.default_rng(0).integers(0, 256, (2, side, side), dtype=np.uint8))
    (towers / "files").mkdir()
    for number, square in enumerate(squares):
        Image.fromarray(square).save(towers / f"files/{number}.png")
    scored(cxrlt, model, "--images", "files", "--submission", "s.csv")
    found = read_predictions(towers / f"predictions/{model}.parquet")
    assert torch.allclose(torch.from_numpy(found.logits), expected(open_clip, towers / model, squares), atol=1e-5, rtol=1e-5)
    assert found.header.pixels == {"size": side, "fit": fit, "resample": "lanczos", "window": "", "clahe": 0.0}
    assert (towers / "s.csv").read_text().startswith(f"dicom_id,{','.join(CLASSES)}\n")


@pytest.mark.usefixtures("without_figures")
def test_other_stages_take_the_predictions(towers: Path, cxrlt: Run) -> None:
    for model in ("clip", "siglip"):
        scored(cxrlt, model)
    for command in (
        ["evaluate", "clip", "--bootstrap", "50"],
        ["compare", "clip", "siglip", "--bootstrap", "50", "--permutations", "50"],
        ["ensemble", "clip", "siglip", "--select", "all", "--name", "both"],
        ["report", "clip"],
        ["info", "predictions/clip.parquet"],
    ):
        ended = cxrlt(*command)
        assert ended.code == 0, (command, ended.err)
    assert "scored without training by: open_clip:local-dir:clip (" in ended.out
    page = next((towers / "reports").rglob("*.html")).read_text()
    assert "Model of images and texts open_clip:local-dir:clip" in page
    assert "a radiograph of hernia" in page


def test_views_are_merged_and_another_label_changes_no_bit(towers: Path, cxrlt: Run) -> None:
    scored(cxrlt, "clip", "--tta", "2")
    before = read_predictions(towers / "predictions/clip.parquet")
    assert (before.header.views, before.header.merge, before.header.runs) == (2, "geomean", [])
    (towers / "labels.csv").write_text(LABELS + "Air,black air\n")
    scored(cxrlt, "clip", "--tta", "2", "--overwrite")
    after = read_predictions(towers / "predictions/clip.parquet")
    assert after.classes == [*CLASSES, "Air"]
    assert np.array_equal(after.logits[:, :3], before.logits)
    scored(cxrlt, "clip", "--tta", "2", "--precision", "bf16", "--overwrite")
    rough = read_predictions(towers / "predictions/clip.parquet").logits
    assert 0 < np.abs(rough - after.logits).max() < 0.2


def test_repository_revision_licence_and_texts_are_kept(
    towers: Path, cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    shutil.copy(towers / "clip/open_clip_model.safetensors", towers / "clip/model.safetensors")  # a second format, not read
    (towers / "clip/README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    into_cache(towers / "clip", "tiny/clip", tmp_path / "hub")
    (towers / "labels.csv").write_text(LABELS + "Long,one two three four five six seven eight\n")
    ended = cxrlt("predict", "--zero-shot", "open_clip:hf-hub:tiny/clip", "--labels", "labels.csv")
    assert ended.code == 0, ended.err
    assert "warning: open_clip:hf-hub:tiny/clip: its licence is non-commercial (cc-by-nc-4.0)" in ended.err
    assert "texts that fill the 8 tokens of the model, which cuts longer ones: " in ended.err
    kept = read_predictions(towers / "predictions/clip-test-labels.parquet").header
    assert kept.zero_shot is not None
    assert (kept.zero_shot.origin.repository, kept.zero_shot.origin.revision) == ("tiny/clip", "0123abcd" * 5)
    assert kept.zero_shot.prompts["Hernia"] == ["hernia", "a radiograph of hernia"]
    inputs = [Path(file.path).name for file in kept.provenance.inputs]
    assert inputs == ["open_clip_model.safetensors", "labels.csv", "dataset.parquet"]


def test_a_text_tower_of_transformers_is_built_from_local_files(
    open_clip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    import transformers

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 9}
    transformers.BertModel(transformers.BertConfig(**small)).save_pretrained(tmp_path / "bert")
    text = {"hf_model_name": str(tmp_path / "bert"), "hf_tokenizer_name": "tiny/bert", "hf_proj_type": "linear"}
    text |= {"context_length": 6, "hf_pooler_type": "cls_last_hidden_state_pooler", "hf_model_pretrained": False}
    folder = save_open_clip(tmp_path / "biomed", custom_text=True, text_cfg=text)
    config = read_json(folder / "open_clip_config.json")
    config["model_cfg"]["text_cfg"] = {**text, "hf_model_name": "tiny/bert"}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nair\nwater\na\nof\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    name = parse_encoder(f"open_clip:local-dir:{folder}")
    with pytest.raises(Exception, match="configuration of tiny/bert, which is not on this machine"):
        read_two_towers(name)
    fetched, at_hand = [], huggingface_hub.snapshot_download

    def download(repository: str, *, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            return at_hand(repository, local_files_only=True)
        fetched.append((repository, options["allow_patterns"]))
        (tmp_path / "bert/model.safetensors").unlink()
        return str(into_cache(tmp_path / "bert", repository, tmp_path / "hub"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    for _ in range(2):
        fetch_text_tower(folder)
    assert fetched == [("tiny/bert", ["config.json"])]
    found = read_two_towers(name)
    assert found.tokenizer(["air"]).tolist() == [[2, 5, 3, 0, 0, 0]]
    directions = text_directions(found, [["air"], ["water"]])
    assert float((directions[0] - directions[1]).abs().max()) > 1e-3


def broken(kind: str, folder: Path) -> None:
    """Damages the model `clip` of a workspace, or the labels."""
    config = read_json(folder / "clip/open_clip_config.json")
    if kind == "image tower alone":
        del config["model_cfg"]["text_cfg"]
    if kind == "other resizing":
        config["preprocess_cfg"]["resize_mode"] = "diagonal"
    if kind == "not square":
        config["model_cfg"]["vision_cfg"]["image_size"] = [32, 16]
    (folder / "clip/open_clip_config.json").write_text(json.dumps(config))
    if kind == "damaged":
        (folder / "clip/open_clip_model.safetensors").write_bytes(b"\x10")
    if kind == "no weights":
        (folder / "clip/open_clip_model.safetensors").unlink()
    if kind == "no folder":
        shutil.rmtree(folder / "clip")
    labels = {"empty text": "class,prompt\nAir,\n", "same text": "class,prompt\nAir,air\nWind,air\n"}
    (folder / "labels.csv").write_text(labels.get(kind, LABELS))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("image tower alone", "has no text tower"),
        ("other resizing", "unknown resize_mode 'diagonal'"),
        ("not square", "takes images of [32, 16] px"),
        ("damaged", "cannot be loaded as a model of images and texts"),
        ("no weights", "lacks open_clip_model.safetensors"),
        ("no folder", "open_clip:local-dir:clip: there is no folder clip"),
        ("empty text", "line 2: an empty cell"),
        ("same text", "has the same text for different labels"),
    ],
)
def test_what_cannot_be_used_is_one_message(kind: str, says: str, towers: Path, cxrlt: Run) -> None:
    broken(kind, towers)
    refused = cxrlt("predict", "--zero-shot", "open_clip:local-dir:clip", "--labels", "labels.csv")
    assert refused.code == 2, refused.err
    assert says in refused.err
    assert not list((towers / "predictions").glob("*.parquet"))


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["open_clip:hf-hub:tiny/clip"], "--zero-shot needs --labels"),
        (["open_clip:hf-hub:tiny/clip", "--labels", "l.csv", "run"], "runs cannot be given beside it"),
        (["open_clip:hf-hub:tiny/clip", "--labels", "l.csv", "--compile"], "--compile cannot be given beside it"),
        (["open_clip:ViT-B-32", "--labels", "l.csv"], "is not the name of a model"),
        (["hf:openai/clip", "--labels", "l.csv"], "is not a model of images and texts of open_clip"),
    ],
)
def test_flags_that_do_not_fit(flags: list[str], says: str, cxrlt: Run) -> None:
    refused = cxrlt("predict", "--zero-shot", *flags)
    assert refused.code == 2
    assert says in refused.err


def test_a_model_that_was_not_fetched_and_an_extra_that_is_not_installed(
    cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "l.csv").write_text(LABELS)
    refused = cxrlt("predict", "--zero-shot", "open_clip:hf-hub:tiny/clip", "--labels", "l.csv")
    assert refused.code == 2
    assert "cxrlt fetch --backbone open_clip:hf-hub:tiny/clip" in refused.err
    monkeypatch.setitem(sys.modules, "open_clip", None)
    refused = cxrlt("predict", "--zero-shot", "open_clip:local-dir:.", "--labels", "l.csv")
    assert refused.code == 2
    assert "pip install 'cxrlt[open_clip]'" in refused.err
