"""Where weights come from: licence and revision, what `fetch` keeps, and what is said of encoders that cannot be used."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from conftest import Run
from tiny_encoders import into_cache, save_timm, save_transformers

from cxrlt_cli.artifacts.origin import Origin
from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.encoders.architecture import published_weights
from cxrlt_cli.encoders.origin import read_origin
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder, encode
from cxrlt_cli.model.load_weights import load_weights
from cxrlt_cli.model.network import Network, NetworkSpec


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of the Hugging Face hub and of torch."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


@dataclass
class Card:
    content: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.content


@dataclass
class File:
    rfilename: str


@dataclass
class Info:
    """What the hub says of a repository."""

    card_data: Card
    gated: str | bool = False
    sha: str = "fedc" * 10
    siblings: list[File] = field(default_factory=lambda: [File(n) for n in ("config.json", "model.safetensors", "tf_model.h5")])


@pytest.fixture
def hub(caches: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Info]:
    """A hub with the repositories of this dictionary; each has the files of a tiny ViT. Downloads go through it."""
    repositories: dict[str, Info] = {}

    def model_info(_: Any, repository: str, timeout: float) -> Info:
        return repositories[repository]

    def download(repository: str, local_files_only: bool = False, **options: Any) -> str:
        place = caches / "hub" / f"models--{repository.replace('/', '--')}"
        if not local_files_only:
            assert options["allow_patterns"] == ["config.json", "model.safetensors"]
            into_cache(save_transformers("vit", caches / "vit"), repository, caches / "hub", repositories[repository].sha)
        if not place.exists():
            raise OSError("not in the cache")
        return str(place / "snapshots" / (place / "refs/main").read_text())

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    return repositories


def test_fetch_keeps_licence_and_revision_with_the_weights(hub: dict[str, Info], cxrlt: Run, caches: Path) -> None:
    hub["tiny/vit"] = Info(Card({"license": "mit"}))
    fetched = cxrlt("fetch", "--backbone", "hf:tiny/vit")
    assert fetched.code == 0, fetched.err
    assert f"tiny/vit, revision {'fedc' * 10}, mit" in fetched.err
    folder = caches / f"hub/models--tiny--vit/snapshots/{'fedc' * 10}"
    origin = Origin("tiny/vit", "fedc" * 10, "mit", gated=False)
    assert json.loads((folder / "cxrlt_origin.json").read_text()) == origin.saved()
    assert read_origin(parse_encoder("hf:tiny/vit")) == origin
    assert read_origin(parse_encoder(str(folder))) == origin, "a copied folder keeps it"


@pytest.mark.parametrize(
    ("card", "gated", "says"),
    [
        ({"license": "cc-by-nc-sa-4.0"}, False, "its licence is non-commercial (cc-by-nc-sa-4.0)"),
        ({"license": "other", "license_name": "research-only"}, False, "its licence is non-commercial (other, research-only)"),
        ({"license": "other", "license_name": "health-ai"}, "manual", "it is gated"),
    ],
)
def test_fetch_asks_before_it_takes_restricted_weights(
    card: dict[str, Any], gated: str | bool, says: str, hub: dict[str, Info], cxrlt: Run, caches: Path
) -> None:
    hub["tiny/vit"] = Info(Card(card), gated)
    refused = cxrlt("fetch", "--backbone", "hf:tiny/vit")
    assert refused.code == 2
    assert f"tiny/vit was not fetched: {says}" in refused.err
    assert "--accept-licence" in refused.err
    assert not (caches / "hub").exists()
    assert cxrlt("fetch", "--backbone", "hf:tiny/vit", "--accept-licence").code == 0
    checked = cxrlt("check", "--json", "--backbone", "hf:tiny/vit")
    found = json.loads(checked.out)["backbone hf:tiny/vit"]
    assert found["state"] == "warning"
    assert says in found["found"]


def test_a_licence_that_no_one_names_is_said(hub: dict[str, Info], cxrlt: Run) -> None:
    hub["tiny/vit"] = Info(Card({}))
    fetched = cxrlt("fetch", "--backbone", "hf:tiny/vit")
    assert fetched.code == 0
    assert "warning: tiny/vit names no licence" in fetched.err


def test_a_gated_repository_without_access_names_its_page(
    hub: dict[str, Info], cxrlt: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.errors import GatedRepoError

    def refuse(*_: Any, **__: Any) -> None:
        raise GatedRepoError.__new__(GatedRepoError)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    refused = cxrlt("fetch", "--backbone", "hf:google/medsiglip-448")
    assert refused.code == 2
    assert "is gated" in refused.err
    assert "https://huggingface.co/google/medsiglip-448" in refused.err


def test_only_what_is_published_can_be_fetched(cxrlt: Run) -> None:
    for name in ("timm:resnet18", "timm:local-dir:x", "./folder"):
        refused = cxrlt("fetch", "--backbone", name)
        assert refused.code == 2
        assert "there is nothing to fetch" in refused.err


def test_the_card_of_a_folder_names_its_licence(tmp_path: Path) -> None:
    folder = save_transformers("vit", tmp_path / "vit")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\nextra_gated_prompt: Agree.\n---\nText")
    origin = read_origin(parse_encoder(str(folder)))
    assert (origin.licence, origin.gated, origin.repository) == ("apache-2.0", True, str(folder))
    assert origin.revision.startswith("sha256:")
    (folder / "README.md").write_text("---\n: not [yaml\n---")
    assert read_origin(parse_encoder(str(folder))).licence == ""


MISSING = [
    ("hf:microsoft/rad-dino", "on a machine with internet: cxrlt fetch --backbone hf:microsoft/rad-dino"),
    ("timm:hf-hub:timm/vit", "on a machine with internet: cxrlt fetch --backbone timm:hf-hub:timm/vit"),
    ("xrv:densenet121-res224-all", "on a machine with internet: cxrlt fetch --backbone xrv:densenet121-res224-all"),
    ("./nowhere", "there is no folder nowhere"),
    ("timm:local-dir:nowhere", "there is no folder nowhere"),
]


@pytest.mark.parametrize(("name", "says"), MISSING)
def test_an_encoder_that_is_not_on_this_machine_names_the_command(name: str, says: str, cxrlt: Run, dataset: Path) -> None:
    for command in (["train", "--encoder", name], ["check", "--backbone", name]):
        refused = cxrlt(*command)
        assert refused.code == 2
        assert says in refused.err + refused.out
    assert not (dataset.parent / "runs").exists()


def _broken(kind: str, folder: Path) -> Path:
    """A folder that is not a usable encoder, in one of several ways."""
    if kind in ("masked", "shuffled"):
        import transformers

        small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        ratio = 0.75 if kind == "masked" else 0.0
        config = transformers.ViTMAEConfig(**small, image_size=32, patch_size=8, mask_ratio=ratio)
        transformers.ViTMAEModel(config).save_pretrained(folder)
        transformers.ViTImageProcessor().save_pretrained(folder)
        return folder
    if kind == "text":
        import transformers

        small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 9}
        transformers.BertModel(transformers.BertConfig(**small)).save_pretrained(folder)
        transformers.ViTImageProcessor().save_pretrained(folder)
        return folder
    if kind == "timm":
        return save_timm("test_resnet", folder, (0.5,) * 3, (0.5,) * 3)
    save_transformers("patch8" if kind != "patch14" else "vit", folder)
    if kind in ("model.safetensors", "preprocessor_config.json"):
        (folder / kind).unlink()
    if kind == "damaged":
        (folder / "model.safetensors").write_bytes(b"\x10")
    if kind == "other weights":
        save_transformers("deit", folder / "deit")
        (folder / "deit/model.safetensors").replace(folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("patch14", "cuts images into patches of 14 px, which do not divide 32 px"),
        ("masked", "has no spatial feature map"),
        ("shuffled", "gives different features for the same image"),
        ("text", "is not an image encoder"),
        ("timm", "is not a model of transformers"),
        ("model.safetensors", "lacks model.safetensors"),
        ("preprocessor_config.json", "lacks preprocessor_config.json"),
        ("damaged", "cannot be loaded as an image encoder"),
        ("other weights", "the weights belong to another network"),
    ],
)
def test_what_cannot_be_used_is_one_message(kind: str, says: str, cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    folder = _broken(kind, tmp_path / "encoder")
    refused = cxrlt("train", "--encoder", str(folder), "--epochs", "1")
    assert refused.code == 2, refused.err
    assert says in refused.err
    assert "Traceback" not in refused.err
    assert not (tmp_path / "runs").exists()
    if kind == "patch14":
        assert "cache with --size 28 or 42" in refused.err


def test_a_checkpoint_rebuilds_an_encoder_without_its_files(tmp_path: Path) -> None:
    from cxrlt_cli.model.decoder import DecoderSize

    folder = save_transformers("dinov2", tmp_path / "dinov2")
    architecture = VisualEncoder(str(folder)).architecture
    assert architecture is not None
    plain = json.loads(json.dumps(architecture.saved()))
    folder.rename(tmp_path / "gone")
    network = Network(NetworkSpec(str(folder), 3, 8, DecoderSize(), "none", architecture=plain), torch.zeros(3, 8))
    assert network.eval()(torch.zeros(1, 1, 28, 28)).shape == (1, 3)


def test_xrv_networks_equal_torchxrayvisions(cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetching reads the library's file; afterwards the library is not needed. DenseNet's maps pass relu, as in its pooling."""
    xrv = pytest.importorskip("torchxrayvision", reason="torchxrayvision is not installed")
    torch.manual_seed(3)
    dense = xrv.models.DenseNet().eval()
    deep = torchvision.models.resnet50(num_classes=18)
    deep.conv1 = torch.nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    contents = {"densenet121-res224-all": dense, "resnet50-res512-all": deep.state_dict()}
    for name, content in contents.items():
        torch.save(content, tmp_path / Path(xrv.models.model_urls[name]["weights_url"]).name)
    monkeypatch.setattr("torchxrayvision.utils.get_cache_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torchxrayvision.utils.fix_resolution", lambda images, *_: images)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    inputs = torch.from_numpy(xrv.utils.normalize(pixels, 255))[:, None]
    for name in contents:
        fetched = cxrlt("fetch", "--backbone", f"xrv:{name}")
        assert fetched.code == 0, fetched.err
        assert "Apache" in fetched.err
        encoder = VisualEncoder(f"xrv:{name}").eval()
        load_weights(encoder, published_weights(parse_encoder(encoder.name)), Path(name))
        with torch.no_grad():
            expected = xrv.models.get_model(name).eval().features(inputs)
        expected = torch.relu(expected) if name.startswith("densenet") else expected
        found = encode(encoder, torch.from_numpy(pixels))
        found = found if expected.dim() == 4 else found.mean(dim=(2, 3))
        assert found.shape == expected.shape
        assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5
        assert read_origin(parse_encoder(encoder.name)).repository == xrv.models.model_urls[name]["weights_url"]


def test_weights_of_a_safetensors_file(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from cxrlt_cli.model.load_weights import load_encoder

    original = torchvision.models.resnet18(weights=None)
    save_file(original.state_dict(), tmp_path / "weights.safetensors")
    encoder = VisualEncoder("resnet18")
    load_encoder(encoder, tmp_path / "weights.safetensors")
    assert torch.equal(encoder.network.layer4[1].conv2.weight, original.layer4[1].conv2.weight)
    (tmp_path / "weights.safetensors").write_bytes(b"\x10")
    with pytest.raises(UserError, match="cannot be read as weights"):
        load_encoder(encoder, tmp_path / "weights.safetensors")
