"""Text encoders of BERT's published form, and files that would give vectors of no meaning."""

import json
import string
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run

from cxrlt_cli.errors import UserError
from cxrlt_cli.model.imagenet import fetch_imagenet
from cxrlt_cli.text.fetch import fetch_files
from cxrlt_cli.text.transformer import embed_with_transformer
from cxrlt_cli.workspace import Workspace

LETTERS = string.ascii_lowercase
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,:;-", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
TEXTS = ["lung mass", "rib fracture"]


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """PubMedBERT's form: `pytorch_model.bin` with the heads of its training, `vocab.txt` and no tokenizer configuration."""
    from transformers import BertConfig, BertForPreTraining

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=24, **sizes)
    folder = tmp_path / "bert"
    folder.mkdir()
    torch.save(BertForPreTraining(config).state_dict(), folder / "pytorch_model.bin")
    config.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return folder


def test_pubmedberts_form_is_read_with_its_own_weights(bert: Path) -> None:
    from transformers import BertModel, BertTokenizer

    tokenizer, model = BertTokenizer.from_pretrained(bert), BertModel.from_pretrained(bert).eval()
    for text, vector in zip(TEXTS, embed_with_transformer(TEXTS, bert), strict=True):
        with torch.no_grad():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        total = np.zeros(16)
        for token in hidden.numpy():
            total += token
        assert np.abs(total / len(hidden) - vector).max() < 1e-5


def test_a_cut_text_is_named_with_its_tokens(bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    embed_with_transformer(["lung mass", "x" * 30], bert)
    said = capsys.readouterr().err
    assert "1 texts are longer than the encoder's 24 tokens: xxx" in said
    assert "(8 tokens cut)" in said, "30 letters, begin and end"
    assert said.count("\n") == 1, "transformers itself says nothing"


def test_a_tokenizer_without_its_vocabulary_is_refused(bert: Path, cxrlt: Run, tmp_path: Path) -> None:
    (bert / "vocab.txt").unlink()
    (bert / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    ended = cxrlt("embed-labels", "--encoder", bert)
    assert ended.code == 2
    assert "the tokenizer does not know any word of atelectasis" in ended.err
    assert not (tmp_path / "label_embeddings.parquet").exists()


def test_a_tokenizer_of_another_model_is_refused(bert: Path) -> None:
    (bert / "vocab.txt").write_text("\n".join([*VOCABULARY[:5], *(f"w{i}" for i in range(99)), *VOCABULARY[5:]]) + "\n")
    with pytest.raises(UserError, match="the tokenizer belongs to another model"):
        embed_with_transformer(TEXTS, bert)


def test_code_in_a_models_folder_is_never_run_nor_asked_about(
    bert: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((bert / "config.json").read_text())
    ours = {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.Config", "AutoModel": "theirs.Model"}}
    (bert / "config.json").write_text(json.dumps({**config, **ours}))
    (bert / "theirs.py").write_text(f"open({str(bert / 'ran')!r}, 'w')\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(UserError, match="cannot be loaded as a text encoder"):
        embed_with_transformer(TEXTS, bert)
    assert not (bert / "ran").exists()
    assert "run the custom code" not in capfd.readouterr().out


def test_a_sentencepiece_model_names_the_packages_it_needs(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bert / "spiece.model").write_bytes(b"")
    monkeypatch.setattr("transformers.utils.import_utils.is_sentencepiece_available", lambda: True)
    monkeypatch.setattr("transformers.utils.import_utils.is_protobuf_available", lambda: False)
    with pytest.raises(UserError, match="its tokenizer needs protobuf") as caught:
        embed_with_transformer(TEXTS, bert)
    assert "cxrlt[t5]" in caught.value.hint


def test_a_repository_without_weights_for_torch_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.hf_api import ModelInfo

    from cxrlt_cli.config.fetch import FetchConfig

    names = [{"rfilename": name} for name in ("config.json", "spiece.model", "flax_model.msgpack")]
    answer = ModelInfo(id="luqh/ClinicalT5-base", siblings=names)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: answer)
    with pytest.raises(UserError, match=r"no weights for PyTorch \(found: flax_model\.msgpack\)"):
        fetch_files(FetchConfig(encoder=("clinical-t5",)), Workspace(Path()))


@pytest.mark.parametrize("content", [b"", b"junkjunkjunk", b"PK\x03\x04" + bytes(100)], ids=["empty", "junk", "cut"])
def test_damaged_weights_in_torchs_cache_are_named(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub/checkpoints/resnet18-f37072fd.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged") as caught:
        fetch_imagenet("resnet18")
    assert "delete it" in caught.value.hint
