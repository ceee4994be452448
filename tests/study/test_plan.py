"""From studies to commands."""

import json
from pathlib import Path

import pytest

from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.config.study import StudyConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import saved
from cxrlt_cli.study.plan import Given, Plan, Task, merge_options
from cxrlt_cli.study.spec import Study, Variant, read_study
from cxrlt_cli.workspace import Workspace

MERGE = MergeConfig(label_space="chestxray14", missing=("absent", "b=ignore"), train_only=("b",), hierarchy=True)


def _plan(study: Study, **options: object) -> Plan:
    root = Path("/w")
    files = (root / "dataset.parquet", root / "embeddings.parquet", "ngram", root / "classes.txt", root / "texts.csv")
    given = Given(*files, "abc", saved(MERGE), Workspace(root), Workspace(root / "studies"))
    return Plan(StudyConfig(study=study.name, **options), study, given)  # type: ignore[arg-type]


def _runs(name: str, **options: object) -> dict[str, str]:
    study = read_study(name, ["a", "b"])
    plan = _plan(study, **options)
    return {variant.name: plan.run(variant, 0).name for variant in study.variants}


def test_studies_share_the_runs_that_are_alike() -> None:
    classifier, reweight, bag = _runs("classifier"), _runs("reweight"), _runs("bag")
    assert reweight["none"] == bag["+ separate"]
    assert classifier["shared"] == bag["+ texts"]
    assert classifier["separate"] == reweight["none"]  # separate classifiers are the default
    assert _runs("text")["ngram"] == reweight["none"]  # the workspace's embeddings are ngram's
    assert len({*reweight.values()}) == len(reweight)
    assert bag["+ hard9:3"] == bag["+ views"]  # the same networks, looked through otherwise
    assert _runs("classifier", train="--epochs 3") == _runs("classifier", train="--epochs=3")
    assert not set(_runs("classifier", train="--epochs 3").values()) & set(classifier.values())
    assert _runs("classifier", train="--weights auto --encoder-lr 1.0") == classifier  # the defaults
    for flags in ("--weights none", "--weights imagenet", "--encoder-lr 0.1"):
        assert not set(_runs("classifier", train=flags).values()) & set(classifier.values())


def test_the_flags_of_a_variant_come_behind_those_of_all() -> None:
    study = read_study("complexity", [])
    run = _plan(study, train="--encoder densenet121 --epochs 3").run(study.variant("resnet50"), 2)
    assert run.arguments[:5] == ("train", "--encoder", "densenet121", "--epochs", "3")
    assert run.arguments[5:7] == ("--encoder=resnet50", "--seed=2")


def test_hard_classes_come_from_the_base_of_the_same_seed() -> None:
    study = read_study("reweight", [])
    plan = _plan(study)
    run = plan.run(study.variant("hard9:3"), 1)
    base = plan.run(study.variant("none"), 1)
    assert run.needs == (base,)
    assert f"--hard-from={base.made}" in run.arguments


def test_hard_classes_of_folds_come_from_the_run_that_is_named() -> None:
    flags = "--reweight hard9:3 --hard-from runs/base"
    folds = Study("folds", "", (Variant("fold 0", train=("--fold=0",)), Variant("fold 1", train=("--fold=1",))))
    run = _plan(folds, train=flags).run(folds.variants[1], 0)
    assert not run.needs
    assert [word for word in run.arguments if "hard-from" in word or "runs/base" in word] == ["--hard-from", "runs/base"]
    assert run.name != _plan(folds, train=flags.replace("base", "other")).run(folds.variants[1], 0).name


def test_pseudo_labels_are_scored_seed_by_seed_and_merged_with_the_datasets_own_options() -> None:
    study = read_study("missing", [])
    plan = _plan(study)
    merge = plan.run(study.variant("pseudo"), 1).needs[0]
    assert merge.arguments[0] == "merge"
    assert {"--label-space=chestxray14", "--train-only=b", "--hierarchy", "--missing=pseudo"} <= set(merge.arguments)
    assert not {"--missing=absent", "--missing=b=ignore"} & set(merge.arguments)
    scores = merge.needs[0]
    assert f"--pseudo={scores.made}" in merge.arguments
    assert scores.arguments[1] == str(plan.run(study.variant("ignore"), 1).made)
    assert "--split=train" in scores.arguments


def test_an_ensemble_is_one_prediction_by_all_seeds() -> None:
    study = read_study("bag", [])
    plan = _plan(study, seeds=3)
    (last,) = plan.predictions(study.variant("+ ensemble"))
    assert len([need for need in last.needs if need.arguments[0] == "train"]) == 3
    assert "--tta=8" in last.arguments


def test_the_saved_options_of_a_merge_give_it_again() -> None:
    options = merge_options(json.loads(json.dumps(saved(MERGE))))
    assert options == {
        "--label-space": ["chestxray14"],
        "--missing": ["absent", "b=ignore"],
        "--hierarchy": [""],
        "--train-only": ["b"],
    }


@pytest.mark.parametrize(
    "variants",
    [
        (Variant("a", train=("--reweight=hard3:2",)), Variant("b")),
        (
            Variant("a"),
            Variant("b", train=("--reweight=hard3:2",), hard="c"),
            Variant("c", train=("--reweight=hard3:2",), hard="b"),
        ),
        (Variant("a"), Variant("b", merge=("--missing=pseudo",), pseudo="b")),
    ],
)
def test_a_variant_that_waits_for_itself_is_refused(variants: tuple[Variant, ...]) -> None:
    study = Study("own", "", variants)

    def all_tasks() -> list[list[Task]]:
        return [_plan(study).predictions(variant) for variant in variants]

    with pytest.raises(UserError, match="depends on itself"):
        all_tasks()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"study": ""}, "missing argument STUDY"),
        ({"train": "--seed 3"}, "sets this itself"),
        ({"train": '--name "x'}, "No closing quotation"),
        ({"shard": "2/2"}, "--shard '2/2'"),
        ({"seeds": 0}, "--seeds"),
    ],
)
def test_wrong_usage(options: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        StudyConfig(**{"study": "bag", **options})  # type: ignore[arg-type]


def test_another_text_encoder_encodes_the_same_texts() -> None:
    study = Study("s", "", (Variant("a"), Variant("b", embed=("--encoder=minilm",))))
    [made] = [task for task in _plan(study).run(study.variants[1], 0).needs if task.arguments[0] == "embed-labels"]
    assert {"--texts=/w/texts.csv", "--text=prompt", "--encoder=minilm"} <= set(made.arguments)
