"""`cxrlt check`: what would stop a training or weaken its start, looked at before it waits in a queue."""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from cxrlt_cli.artifacts.dataset import SPLITS, Dataset, read_dataset
from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.artifacts.features_file import FeatureFile, read_features
from cxrlt_cli.artifacts.files import check_writable
from cxrlt_cli.artifacts.resolve import find_features
from cxrlt_cli.artifacts.run import finished_runs
from cxrlt_cli.config.check import CheckConfig
from cxrlt_cli.config.encoder_name import parse_encoder
from cxrlt_cli.console import data, escaped
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.data.feature_maps import FeatureMaps, refuse_other_pixels
from cxrlt_cli.encoders.architecture import read_architecture, require_weights
from cxrlt_cli.encoders.origin import read_origin
from cxrlt_cli.errors import UserError, listed, os_hint
from cxrlt_cli.machine import cores, refused_semaphores
from cxrlt_cli.model.imagenet import imagenet_file
from cxrlt_cli.paths import exists, is_folder
from cxrlt_cli.portable import lock_file
from cxrlt_cli.results import MachineCheck
from cxrlt_cli.text.encoders import find_encoder
from cxrlt_cli.workspace import Workspace

State = Literal["ok", "warning", "error"]
#: How something is, and what was found.
Finding = tuple[State, str]

_PUBLISHED = ("imagenet", "pretrained")
_LEAST_SHARED = 256 << 20  # bytes; NCCL's channels between the GPUs of a node


def check_machine(config: CheckConfig, workspace: Workspace) -> MachineCheck:
    """Prints what was found.

    Raises:
        UserError: something would stop a training, or make `--weights auto` start at random; it is named.
    """
    findings = {what: _looked_at(look) for what, look in _looks(config, workspace).items()}
    if config.json:
        data(json.dumps({what: {"state": state, "found": found} for what, (state, found) in findings.items()}, indent=1))
    else:
        width = max(map(len, findings)) + 2
        for what, (state, found) in findings.items():
            data(escaped(f"{what:<{width}}{state:<9}{found}"))
    errors = [what for what, (state, _) in findings.items() if state == "error"]
    if errors:
        raise UserError(f"not ready for a training: {', '.join(errors)}", "see what was found, above")
    return MachineCheck(dict(findings))


def _looks(config: CheckConfig, workspace: Workspace) -> dict[str, Callable[[], Finding]]:
    dataset = config.dataset or workspace.dataset
    embeddings = config.embeddings or workspace.label_embeddings
    read = cache(read_dataset)
    stored = cache(lambda: read_features(find_features(config.features, workspace.features)))
    inputs = {
        "features" if config.features else "images": lambda: (
            _features(read(dataset), stored()) if config.features else _images(read(dataset))
        )
    }
    backbones = config.backbone or (_backbones_of(stored) if config.features else (config.usual_backbone,))
    return {
        "workspace": lambda: _workspace(workspace),
        "dataset": lambda: _dataset(read(dataset)),
        **inputs,
        "classes": lambda: _classes(read(dataset), embeddings),
        **{f"backbone {name}": partial(_backbone, name) for name in backbones if name != "none"},
        **{f"encoder {name}": partial(_encoder, name) for name in config.encoder},
        "space": lambda: _space(workspace.root, config.space),
        "shared memory": _shared_memory,
        "locks": lambda: _locks(workspace.root),
        "cores": _cores,
        "GPU": lambda: _gpu(config.device),
        "versions": _versions,
    }


def _looked_at(look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except OSError as error:
        return "error", f"{error.filename or ''}: {error.strerror}; {os_hint(error)}"
    except UserError as error:
        return "error", f"{error.message}; {error.hint}" if error.hint else error.message


def _workspace(workspace: Workspace) -> Finding:
    if not is_folder(workspace.root):
        return "error", f"{workspace.root} is not a folder; name another: --workspace, CXRLT_WORKSPACE"
    check_writable(workspace.root)
    finished = len(finished_runs(workspace.runs))
    return "ok", f"{workspace.root.resolve()} may be written to; {finished} finished runs"


def _dataset(dataset: Dataset) -> Finding:
    counts = dataset.table["split"].value_counts()
    found = f"{len(dataset.table)} images ({', '.join(f'{counts.get(name, 0)} {name}' for name in SPLITS)})"
    found += f" in {dataset.folds} folds" if dataset.folds else ""
    needed = ("train",) if dataset.folds else ("train", "val")  # with folds, one of them is the validation split
    absent = [name for name in needed if not counts.get(name)]
    return ("error", f"{found}: no {' and no '.join(absent)}; see cxrlt merge --split") if absent else ("ok", found)


def _images(dataset: Dataset) -> Finding:
    images = DatasetImages(dataset)
    images.verify()
    size = dataset.settings["size"]
    return "ok", f"{dataset.table['cache'].nunique()} image files, {size} x {size} px, all pixels as they were cached"


def _features(dataset: Dataset, file: FeatureFile) -> Finding:
    """Whether every training and validation image has a sound map, and the weights of the encoder are still there."""
    used = dataset.rows(dataset.table["split"].isin(["train", "val"]).to_numpy())
    absent = refuse_other_pixels(used, file)
    FeatureMaps(used, file).verify()
    made, shape = file.settings, " x ".join(map(str, file.map_shape))
    found = f"{shape} of {made.encoder} ({made.weights}), of each training and validation image, all as they were stored"
    found += f"; {made.views} views" if made.views > 1 else ""
    if made.weights not in _PUBLISHED and not exists(Path(made.weights)):
        return "error", f"{found}; {made.weights} is not there any more: give cxrlt train --weights its new place"
    if absent:
        return "warning", f"{found}; only the settings of the pixels were compared: {listed(absent)} is not on this machine"
    return "ok", found


def _backbones_of(stored: Callable[[], FeatureFile]) -> tuple[str, ...]:
    """The encoder of stored features, if its weights are fetched, instead of those of a file or a run."""
    try:
        made = stored().settings
    except UserError:
        return ()
    return (made.encoder,) if made.weights in _PUBLISHED else ()


def _classes(dataset: Dataset, embeddings: Path) -> Finding:
    vectors = read_embeddings(embeddings).of(dataset.classes, embeddings)
    return "ok", f"each of {len(dataset.classes)} has an embedding of {vectors.shape[1]} numbers"


def _backbone(name: str) -> Finding:
    parsed = parse_encoder(name)
    if not parsed.published:
        return "ok", str(imagenet_file(name))
    read_architecture(parsed)
    require_weights(parsed)
    origin = read_origin(parsed)
    return "warning" if origin.restriction else "ok", f"{origin.described}{origin.restriction and '; '}{origin.restriction}"


def _encoder(name: str) -> Finding:
    return "ok", "built in" if name == "ngram" else str(find_encoder(name).folder)


def _space(folder: Path, least: float) -> Finding:
    while not exists(folder) and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    found = f"{free:.1f} GB free in {folder.resolve()}"
    return ("ok", found) if free >= least else ("error", f"{found}, fewer than {least:g} (--space)")


def _shared_memory() -> Finding:
    path = Path("/dev/shm")  # noqa: S108 - asked about, not written to
    if not is_folder(path):
        return "warning", f"there is no {path}: NCCL needs it for several GPUs of one node"
    refused = refused_semaphores()
    if refused:
        return "warning", f"no semaphore can be made in {path} ({refused}): cxrlt cache decodes in threads, slower"
    free = shutil.disk_usage(path).free
    found = f"{free / 1e9:.2f} GB free in {path}"
    return ("ok", found) if free >= _LEAST_SHARED else ("warning", f"{found}: several GPUs of one node need 0.25")


def _locks(folder: Path) -> Finding:
    if not os.access(folder, os.W_OK):
        return "error", f"{folder} cannot be written to"
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            lock_file(file.fileno())
        except OSError as error:
            return "warning", f"the file system has none ({error.strerror}): do not start two jobs with one output"
    return "ok", "the file system has locks: two jobs cannot write the same output"


def _cores() -> Finding:
    found = f"{cores()} of {os.cpu_count()} may be used"
    threads = os.environ.get("OMP_NUM_THREADS")
    return "ok", found + (f", OMP_NUM_THREADS={threads}" if threads else "")


def _gpu(device: str) -> Finding:
    import torch

    if not torch.cuda.is_available():
        found = f"torch {torch.__version__} sees none"
        return ("error", f"{found}, and --device cuda needs one") if device == "cuda" else ("ok", f"{found}: a CPU trains")
    names = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    described = ", ".join(f"{gpu.name} with {gpu.total_memory / 1e9:.0f} GB" for gpu in names)
    return "ok", f"{described}; CUDA {torch.version.cuda}, {'bf16' if torch.cuda.is_bf16_supported() else 'fp16'}"


def _versions() -> Finding:
    """Whether every package that cxrlt requires is there, new enough."""
    wanted = [Requirement(text) for text in metadata.requires("cxrlt") or []]
    wrong = []
    for need in wanted:
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{need.name} is not installed")
            continue
        if not need.specifier.contains(found, prereleases=True):
            wrong.append(f"{need.name} {found} is not {need.specifier}")
    if wrong:
        return "error", "; ".join(wrong)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "torchvision", "transformers", "h5py"))
    return "ok", f"python {platform.python_version()}, {versions}"
