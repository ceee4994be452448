"""The stage `pack`: a model as one zip with its card, without anything that says where or on whom it was made."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.data_sources import DataSource
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.evaluation import Evaluation, read_evaluation, shared_evaluation
from cxrlt_cli.artifacts.files import claimed, refuse_existing, sha256_of
from cxrlt_cli.artifacts.pack import Pack, PackedRun, pack_members, write_pack
from cxrlt_cli.artifacts.run_config import BestCheckpoint, read_best
from cxrlt_cli.config.pack import PackConfig
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file
from cxrlt_cli.predict.select import unfinished
from cxrlt_cli.results import PackedModel
from cxrlt_cli.share.card import CardContent, card_sections
from cxrlt_cli.share.card_pages import as_html, as_markdown
from cxrlt_cli.share.model_description import ModelDescription, choose_model, describe_model, find_evaluation
from cxrlt_cli.share.traces import refuse_traces, traces_of, without_traces
from cxrlt_cli.sources.terms import agreements_of
from cxrlt_cli.workspace import Workspace


def pack_model(config: PackConfig, workspace: Workspace) -> PackedModel:
    """Writes a pack.

    Raises:
        UserError: no such model, calibration or evaluation; a model that learned from images under an agreement, without
            --credentialed; a text that names this machine, its user, a path or an id; an existing output.
    """
    choice = choose_model(config.model, workspace)
    path = workspace.packs / f"{config.name or choice.name}.zip"
    refuse_existing(path, config.overwrite)
    with claimed(path, config.overwrite):
        bests = [read_best(run) for run in choice.runs]
        about = describe_model(choice, bests[0].classes, bests[0].pixels, config.calibrate, config.evaluation, workspace)
        sources = about.learned_from([best.config for best in bests])
        _refuse_credentialed(choice.name, sources, config.credentialed)
        evaluation = read_evaluation(find_evaluation(config.evaluation, workspace)) if config.evaluation else None
        datasets = _datasets(bests, evaluation, workspace)
        pack = _pack(config.name or choice.name, about, choice.chosen.merge, bests, sources)
        metrics = _shared(evaluation)
        own = next((one for one in datasets if _is_of(bests[0], one)), None)
        early = {run.folder.resolve().name: state for run in choice.runs if (state := unfinished(run))}
        sections = card_sections(CardContent(pack, config.purpose, config.users, metrics, own, early))
        texts = {"card.md": as_markdown(pack.name, sections), "card.html": as_html(pack.name, sections)}
        texts |= {"evaluation.json": json.dumps(metrics, indent=1, allow_nan=False) + "\n"} if metrics else {}
        members = pack_members(pack, texts)
        texts = {name: content.decode() for name, content in members.items() if not name.endswith(".safetensors")}
        refuse_traces(texts, _chosen(pack, config), traces_of(workspace.root, datasets))
        write_pack(path, members)
    say(f"{len(pack.runs)} run(s), {len(about.classes)} classes, {path.stat().st_size / 1e6:,.1f} MB: {path}")
    say(f"elsewhere: cxrlt predict --pack {path.name} --images FOLDER")
    return PackedModel(path, about.classes, None if sources is None else agreements_of(sources))


def _refuse_credentialed(name: str, sources: list[DataSource] | None, allowed: bool) -> None:
    if sources is None and not allowed:
        raise UserError(
            f"{name} does not record from which sources it learned: an earlier version trained it or fitted its calibration, "
            "or its pseudo-labels are scores of another tool",
            "merge, train and calibrate again; or, where you may share it, give --credentialed",
        )
    found = agreements_of(sources or [])
    if found and not allowed:
        raise UserError(
            f"{name} learned from images given out under an agreement: {listed(found)}",
            "share it only with people who signed the same agreement, with --credentialed; the card then names it",
        )


def _datasets(bests: list[BestCheckpoint], evaluation: Evaluation | None, workspace: Workspace) -> list[Dataset]:
    """The datasets of a model that are still there: their ids are looked for in the pack."""
    files = [one.path for best in bests for one in best.config.provenance.inputs[:1]]
    files += [one.path for one in evaluation.provenance.inputs[1:2]] if evaluation else []
    found = []
    for path in dict.fromkeys([*map(Path, files), workspace.dataset]):
        with suppress(UserError):  # another file has taken its place
            found += [read_dataset(path)] if is_file(path) else []
    return found


def _is_of(best: BestCheckpoint, dataset: Dataset) -> bool:
    """Whether a dataset is the one that a run was trained on, by the SHA-256 of its file."""
    return [one.sha256 for one in best.config.provenance.inputs[:1]] == [sha256_of(dataset.path)]


def _pack(
    name: str, about: ModelDescription, merge: str, bests: list[BestCheckpoint], sources: list[DataSource] | None
) -> Pack:
    runs = [
        PackedRun(run, weight, without_traces(best))
        for run, weight, best in zip(about.members, about.weights, bests, strict=True)
    ]
    return Pack(name, runs, merge, about.calibration, about.thresholds, sources)


def _shared(evaluation: Evaluation | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    shared = shared_evaluation(evaluation)
    if shared.left_out:
        warn(f"subgroups by {listed(shared.left_out)} are left out: columns other than sex, age, view and source may hold ids")
    return shared.metrics


def _chosen(pack: Pack, config: PackConfig) -> dict[str, str]:
    """The names and sentences that people chose."""
    found = {"the name": pack.name, "--purpose": config.purpose, "--users": config.users}
    found |= {f"the name of run {number}": run.name for number, run in enumerate(pack.runs, 1)}
    return found | ({"the name of the calibration": pack.calibration.path.stem} if pack.calibration else {})
