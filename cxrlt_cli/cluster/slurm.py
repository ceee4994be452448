"""`cxrlt slurm`: the pipeline as batch scripts that a person can read and edit."""

import re
import shlex
import sys
from importlib.resources import files
from pathlib import Path

from cxrlt_cli.artifacts.files import refuse_existing, replacing, replacing_together
from cxrlt_cli.config.slurm import SlurmConfig
from cxrlt_cli.console import say
from cxrlt_cli.errors import reported_os_errors
from cxrlt_cli.options import refuse_control_characters
from cxrlt_cli.results import SlurmScripts
from cxrlt_cli.workspace import Workspace

_MOST_RESTARTS = 50


def write_scripts(config: SlurmConfig, workspace: Workspace) -> SlurmScripts:
    """Writes a script a stage, what they share, and `submit.sh`, which chains them.

    Raises:
        UserError: the folder cannot be written to, or has scripts already.
    """
    assert config.out is not None, "the config has checked it"
    out = config.out.resolve()
    refuse_control_characters([out, workspace.root.resolve(), Path.cwd(), Path(sys.executable).parent])
    scripts = _scripts(config, out, workspace.root.resolve())
    for name in scripts:
        refuse_existing(out / name, config.overwrite)
    with replacing_together():
        for name, text in scripts.items():
            with replacing(out / name) as aside:
                aside.write_text(text, encoding="utf-8")
                aside.chmod(0o755 if name.endswith(".sh") else 0o644)
    with reported_os_errors(f"cannot write {out}"):
        (out / "logs").mkdir(parents=True, exist_ok=True)
    say(f"{len(scripts)} scripts in {out}: read them, then submit all with {out / 'submit.sh'}")
    return SlurmScripts(out, [out / name for name in scripts])


def _scripts(config: SlurmConfig, out: Path, root: Path) -> dict[str, str]:
    """Name -> text of each script."""
    common = {
        "OUT": shlex.quote(str(out)),
        "WORKSPACE": shlex.quote(str(root)),
        "BIN": shlex.quote(str(Path(sys.executable).parent)),
        "SETUP": "".join(line + "\n" for line in config.setup),
        "RESTARTS": str(_MOST_RESTARTS),
        "COMMON": "\n".join(f"#SBATCH {option}" for option in _directives(config)),
        "GPUS": f"#SBATCH --gpus-per-node={config.gpus}\n" if config.gpus else "",
        "GPU": "#SBATCH --gpus-per-node=1\n" if config.gpus else "",
        "NAME": shlex.quote(config.name),
        "NODES": str(config.nodes),
        "TASKS": str(config.gpus or 1),
        "CPUS": str(config.cpus),
        "SHARDS": str(config.shards),
        "LAST": str(config.shards - 1),
    }
    scripts = {"env.sh": _filled("env.sh", common)}
    for source, name in zip(config.source, config.source_names, strict=True):
        values = {**common, "NAME": shlex.quote(name), "SOURCE": shlex.quote(_absolute(source)), "MORE": _more(config.cache)}
        scripts[f"cache-{name}.sbatch"] = _filled("cache.sbatch", values)
        scripts[f"join-{name}.sbatch"] = _filled("join.sbatch", values)
    stored = ["features", "join-features"] if config.features else []
    more = {"train": shlex.join(config.train_words), "join-features": ""}
    for stage in ("embed-labels", "merge", *stored, "train", "predict", "evaluate"):
        options = more[stage] if stage in more else getattr(config, stage.replace("-", "_"))
        scripts[f"{stage}.sbatch"] = _filled(f"{stage}.sbatch", {**common, "MORE": _more(options)})
    return {**scripts, "submit.sh": _submit(config.source_names, stored=bool(config.features))}


def _directives(config: SlurmConfig) -> list[str]:
    named = [f"--{name}={getattr(config, name)}" for name in ("partition", "account", "time") if getattr(config, name)]
    here = f"--chdir={shlex.quote(str(Path.cwd()))}"  # relative paths mean what they meant when they were typed
    return [*named, *config.sbatch, here, "--requeue --open-mode=append"]


def _absolute(source: str) -> str:
    """KIND=PATH with the path from the root: jobs start in another folder."""
    kind, _, path = source.partition("=")
    return f"{kind}={Path(path).resolve()}"


def _more(options: str) -> str:
    return f" {shlex.join(shlex.split(options))}" if options else ""


def _filled(template: str, values: dict[str, str]) -> str:
    """A template of `templates/`, its @NAMES@ replaced."""
    text = files("cxrlt_cli.cluster").joinpath("templates", template).read_text(encoding="utf-8")
    return re.sub("@([A-Z]+)@", lambda name: values[name[1]], text)  # in one pass: a value is not searched for names


_SUBMIT = """\
#!/bin/bash
# Submits the whole pipeline. Each job waits for those it needs; where one fails, those that wait for it are cancelled.
# Submitted again, it does what is missing. Options of sbatch for all jobs may follow: ./submit.sh --partition=short
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
more=("$@")
queue() { sbatch --parsable --kill-on-invalid-dep=yes "${@:2}" "${more[@]}" "$here/$1"; }

"""


_STORED = [
    "features=$(queue features.sbatch --dependency=afterok:$merge)",
    "joined=$(queue join-features.sbatch --dependency=afterok:$features)",
]


def _submit(sources: list[str], stored: bool) -> str:
    lines, joined = [], []
    for number, name in enumerate(sources):
        lines.append(f"cache_{number}=$(queue cache-{shlex.quote(name)}.sbatch)")
        lines.append(f"join_{number}=$(queue join-{shlex.quote(name)}.sbatch --dependency=afterok:$cache_{number})")
        joined.append(f"$join_{number}")
    lines += [
        "embed=$(queue embed-labels.sbatch)",
        f"merge=$(queue merge.sbatch --dependency=afterok:{':'.join(joined)})",
        *(_STORED if stored else []),
        f"train=$(queue train.sbatch --dependency=afterok:{'$joined' if stored else '$merge'}:$embed)",
        "predict=$(queue predict.sbatch --dependency=afterok:$train)",
        "evaluate=$(queue evaluate.sbatch --dependency=afterok:$predict)",
        'echo "train $train, predict $predict, evaluate $evaluate; see: squeue --me"',
    ]
    return _SUBMIT + "\n".join(lines) + "\n"
