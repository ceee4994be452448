"""`train --features`: what is trained, equal logits from pixels, and what is refused."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
import tiny_encoder  # noqa: F401 - makes `timm:tiny_golden` known
import torch
from conftest import Run, type_in
from shared import copied, made_once

from cxrlt_cli.artifacts.dataset import read_dataset, write_dataset
from cxrlt_cli.artifacts.features_file import read_features
from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.artifacts.run import Run as RunFolder
from cxrlt_cli.artifacts.run import read_checkpoint
from cxrlt_cli.artifacts.run_config import read_best, read_run_config
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.data.feature_maps import FeatureMaps
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.encoder import VisualEncoder

GOLDEN = ["--encoder", "timm:tiny_golden", "--weights", "tiny.pth"]
SMALL = [
    "--epochs", "2", "--batch-size", "16", "--lr", "1e-2", "--decoder-width", "32", "--decoder-feedforward", "32",
    "--decoder-heads", "2",
]  # fmt: skip
ON_MAPS = ["train", *GOLDEN, *SMALL, "--features", "maps"]


@pytest.fixture(scope="module")
def made_features(made_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with weights of `timm:tiny_golden`, its features in three views, and a run trained on them."""

    def make(folder: Path) -> None:
        copied(made_dataset, folder)
        torch.manual_seed(1)
        network = VisualEncoder("timm:tiny_golden").network
        network.norm.running_mean.normal_(std=0.1)
        torch.save(network.state_dict(), folder / "tiny.pth")
        features = ["features", *GOLDEN, "--batch-size", "16", "--grid", "4", "--views", "3", "--name", "maps"]
        type_in(folder, [features, [*ON_MAPS, "--mixup", "0.2", "--average", "ema:0.9", "--name", "head"]])

    return made_once(tmp_path_factory, "features-run", make)


@pytest.fixture
def workspace(made_features: Path, tmp_path: Path) -> Path:
    return copied(made_features, tmp_path)


def test_pixels_through_the_encoder_give_the_logits_of_the_maps(cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt("predict", "head", "--split", "val", "--batch-size", "16", "--name", "again")
    assert ended.code == 0, ended.err
    validation = read_predictions(workspace / "runs/head/validation.parquet")
    again = read_predictions(workspace / "predictions/again.parquet")
    assert again.image_ids == validation.image_ids
    assert (again.logits == validation.logits).all()
    commands = [
        ["predict", "head", "--tta", "4"],
        ["explain", "head", "i0003", "--method", "integrated-gradients"],
        ["evaluate", "again", "--bootstrap", "20"],
        ["export", "head", *(["--format", "torch"] if find_spec("onnx") is None else [])],  # refused where logits differ
        ["pack", "head"],
        ["fuse", "head", "--epochs", "1", "--name", "fused"],
    ]
    for command in commands:
        ended = cxrlt(*command)
        assert ended.code == 0, ended.err
    assert cxrlt("predict", "head", "--images", "source/pictures", "--name", "here").code == 0
    ended = cxrlt("predict", "--pack", "packs/head.zip", "--images", "source/pictures", "--name", "packed")
    assert ended.code == 0, ended.err
    here, packed = (read_predictions(workspace / f"predictions/{name}.parquet") for name in ("here", "packed"))
    assert (here.logits == packed.logits).all()
    with zipfile.ZipFile(workspace / "packs/head.zip") as archive:
        card = archive.read("card.md").decode()
        assert b"maps.h5" not in archive.read("pack.json")
    assert "trained on its stored maps, averaged over 4 x 4 cells, 3 views of an image" in card


def test_the_run_keeps_the_encoder_and_says_what_it_was_trained_on(cxrlt: Run, workspace: Path) -> None:
    run = RunFolder(workspace / "runs/head")
    config, best, weights = read_run_config(run), read_best(run), torch.load(workspace / "tiny.pth")
    found = read_features(workspace / "features/maps.h5")
    assert config.features is not None
    assert (config.features.weights_sha256, config.features.grid) == (found.settings.weights_sha256, 4)
    assert [file.path for file in config.provenance.inputs][2] == "features/maps.h5"
    assert (config.options["tune"], config.options["augment"]) == ("head", "none")
    assert best.spec["grid"] == 4
    for name, value in weights.items():
        assert torch.equal(best.model[f"encoder.network.{name}"], value)
    last = read_checkpoint(run.last, ["model", "average"])
    assert not [name for part in ("model", "average") for name in last[part] if name.startswith("encoder.")]
    assert "features/maps.h5: maps of 4 x 4, 3 views, fp32" in cxrlt("info", "runs/head").out


@pytest.mark.parametrize(
    "flags",
    [
        ["--queries", "none"],
        ["--queries", "glori", "--decoder-width", "16"],
        ["--queries", "learned", "--decoder", "transformer", "--decoder-layers", "1"],
        ["--loss", "asl", "--reweight", "inverse-sqrt", "--sampling", "square-root"],
    ],
    ids=["linear", "glori", "transformer", "loss"],
)
def test_heads_and_losses(flags: list[str], cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt(*ON_MAPS, *flags, "--name", "other")
    assert ended.code == 0, ended.err
    ended = cxrlt("predict", "other", "--split", "val", "--batch-size", "16", "--name", "again")
    assert ended.code == 0, ended.err
    validation = read_predictions(workspace / "runs/other/validation.parquet")
    assert (read_predictions(workspace / "predictions/again.parquet").logits == validation.logits).all()


def test_a_stopped_run_goes_on_as_if_it_had_not_been(cxrlt: Run, workspace: Path) -> None:
    assert cxrlt(*ON_MAPS, "--epochs", "3", "--name", "whole").code == 0
    assert cxrlt(*ON_MAPS, "--epochs", "3", "--name", "parts", "--patience", "1", "--lr", "1e-9").code == 0
    assert cxrlt(*ON_MAPS, "--epochs", "3", "--name", "parts", "--patience", "0", "--lr", "1e-9", "--resume").code == 0
    assert cxrlt(*ON_MAPS, "--epochs", "3", "--name", "plain", "--lr", "1e-9").code == 0
    parts, plain = (read_best(RunFolder(workspace / f"runs/{name}")).model for name in ("parts", "plain"))
    assert all(torch.equal(value, plain[name]) for name, value in parts.items())
    changed = read_best(RunFolder(workspace / "runs/whole")).model
    assert not torch.equal(changed["classifier.weight"], plain["classifier.weight"]), "the learning rate matters"


def test_an_epoch_draws_one_view_of_each_image(workspace: Path) -> None:
    dataset, file = read_dataset(workspace / "dataset.parquet").split("train"), read_features(workspace / "features/maps.h5")
    maps, rows = FeatureMaps(dataset, file), np.arange(len(dataset.table))
    with h5py.File(workspace / "features/maps.h5") as opened:
        row = {name: number for number, name in enumerate(opened["id"].asstr()[:])}
        stored = opened["features"][:][[row[name] for name in dataset.table["image_id"]]]
    assert (maps.read(rows) == stored[:, 0]).all()
    drawn = [maps.in_epoch(0, epoch).read(rows) for epoch in range(12)]
    views = np.array([[[(one == view).all() for view in views].index(True) for one, views in zip(epoch, stored, strict=True)]
                      for epoch in drawn])  # fmt: skip
    assert set(views.ravel()) == {0, 1, 2}
    assert all(len(set(epochs)) > 1 for epochs in views.T)
    np.testing.assert_allclose(np.bincount(views.ravel()) / views.size, 1 / 3, atol=0.08)
    assert (maps.in_epoch(0, 3).read(rows[5:9]) == drawn[3][5:9]).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"augment": "standard"}, "--augment standard changes pixels"),
        ({"cutmix": 1.0}, "--cutmix 1.0 changes pixels"),
        ({"mosaic": 0.5}, "--mosaic 0.5 changes pixels"),
        ({"blur": 0.5}, "--blur 0.5 changes pixels"),
        ({"erasing": 0.5}, "--erasing 0.5 changes pixels"),
        ({"tune": "full"}, "--tune full acts in the encoder"),
        ({"tune": "lora:4"}, "--tune lora:4 acts in the encoder"),
        ({"drop_path": 0.1}, "--drop-path 0.1 acts in the encoder"),
        ({"checkpointing": True}, "--checkpointing acts in the encoder"),
        ({"weights": "none"}, "--tune head needs trained weights"),
    ],
)
def test_options_that_need_pixels_or_the_encoder_are_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as caught:
        TrainConfig(features="maps", **options)  # type: ignore[arg-type]
    assert says in caught.value.message


def test_without_features_the_defaults_are_as_before() -> None:
    assert (TrainConfig().tune, TrainConfig().augment, TrainConfig().freeze) == ("full", "standard", "none")
    assert (TrainConfig(features="x").tune, TrainConfig(features="x").freeze) == ("head", "encoder")


def _other_weights(workspace: Path) -> None:
    state = torch.load(workspace / "tiny.pth")
    torch.save({name: value + 1 for name, value in state.items()}, workspace / "tiny.pth")


def _fewer_images(workspace: Path) -> None:
    dataset = read_dataset(workspace / "dataset.parquet")
    more = dataset.table.assign(image_id=dataset.table["image_id"].str.replace("i0007", "new"))
    write_dataset(replace(dataset, table=more))


def _other_pixels(workspace: Path) -> None:
    with h5py.File(workspace / "images/pictures.h5", "r+") as file:
        file["hash"][9, 0] += 1


def _other_settings(workspace: Path) -> None:
    dataset = read_dataset(workspace / "dataset.parquet")
    write_dataset(replace(dataset, settings={**dataset.settings, "fit": "crop"}))


def _unfinished(workspace: Path) -> None:
    (workspace / "features/maps.h5").rename(workspace / "features/maps.h5.part")


def _damaged(workspace: Path) -> None:
    with h5py.File(workspace / "features/maps.h5", "r+") as file:
        file["features"][:, 0] += 1


@pytest.mark.parametrize(
    ("harm", "more", "says"),
    [
        (None, ["--encoder", "timm:test_resnet"], "was made by timm:tiny_golden, --encoder is timm:test_resnet"),
        (None, ["--features", "nowhere"], "'nowhere' is neither a name under features nor a file"),
        (None, ["--features", "images/pictures.h5"], "is an HDF5 file of another origin, not cxrlt features"),
        (None, ["--stride", "16"], "was made with --stride 32, here it is 16"),
        (_other_weights, [], "was made with other weights of timm:tiny_golden"),
        (_fewer_images, [], "has no features for 1 of"),
        (_other_pixels, [], "was made from other pixels than images/pictures.h5 has, of 1 images: i0009"),
        (_other_settings, [], "was made from pixels"),
        (_unfinished, [], "features/maps.h5 is not finished"),
        (_damaged, [], "features were changed after they were stored"),
    ],
)
def test_features_that_do_not_fit_are_refused(
    harm: Callable[[Path], None] | None, more: list[str], says: str, cxrlt: Run, workspace: Path
) -> None:
    if harm:
        harm(workspace)
    ended = cxrlt(*ON_MAPS, *more, "--name", "new")
    assert ended.code == 2
    assert says in ended.err
    if harm is not _damaged:  # found when a map is read
        assert not (workspace / "runs/new").exists()


def test_a_resumed_run_refuses_other_features(cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt("features", *GOLDEN, "--batch-size", "16", "--grid", "2", "--name", "maps", "--overwrite")
    assert ended.code == 0, ended.err
    ended = cxrlt(*ON_MAPS, "--mixup", "0.2", "--average", "ema:0.9", "--name", "head", "--resume")
    assert ended.code == 2
    assert "was started with a different features/maps.h5" in ended.err


def test_pixels_are_not_needed_to_train(cxrlt: Run, workspace: Path) -> None:
    (workspace / "images/pictures.h5").unlink()
    ended = cxrlt(*ON_MAPS, "--name", "laptop")
    assert ended.code == 0, ended.err
    assert "not on this machine, so only the settings of the pixels were compared: images/pictures.h5" in ended.err
    with pytest.raises(UserError):
        DatasetImages(read_dataset(workspace / "dataset.parquet"))


def test_a_config_file_of_the_run_trains_another(cxrlt: Run, workspace: Path) -> None:
    ended = cxrlt("train", "--config", "runs/head/config.json", "--name", "second", "--seed", "1")
    assert ended.code == 0, ended.err
    assert json.loads((workspace / "runs/second/config.json").read_text())["features"]["grid"] == 4
