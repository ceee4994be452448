"""What a command imports before its first result, which is most of the time of a small case."""

import subprocess
import sys
from pathlib import Path

from conftest import TRAIN

#: Slow to import, and needed by other commands or with --compile only.
SLOW = {"torch._dynamo", "sympy", "triton", "transformers", "matplotlib"}

#: Runs commands in one process, and says after each what it has imported.
_COMMANDS = """
import sys
from cxrlt_cli.app import app
for arguments in {commands!r}:
    app(arguments, standalone_mode=False)
    print("IMPORTED", arguments[0], *sorted({names!r} & set(sys.modules)))
"""

#: What works afterwards as if torchvision had been imported as usual.
_AFTERWARDS = """
import torch, torchvision
boxes = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
pooled = torchvision.ops.roi_align(torch.ones(1, 1, 4, 4), boxes, 2)
assert pooled.tolist() == [[[[1, 1], [1, 1]]]]
assert "torch._dynamo" not in sys.modules
supported = sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu")
from torch._dynamo.utils import is_compile_supported
assert supported == is_compile_supported("cpu")
assert torch.compile(lambda x: 2 * x + 1, backend="eager")(torch.ones(2)).tolist() == [3, 3]
import timm
assert timm.create_model("test_resnet").training
print("AFTERWARDS")
"""


def test_commands_do_not_import_what_they_do_not_use(golden: Path, dataset: Path) -> None:
    """`evaluate` of few images does without torch; `train` and `predict` do without torch's compiler."""
    commands = [
        ["evaluate", "whole", "--workspace", str(golden), "--output", str(dataset.parent / "evaluations")],
        ["embed-labels", "--encoder", "ngram", "--overwrite"],
        [*TRAIN, "--epochs", "1", "--encoder", "resnet18"],  # timm imports torch._dynamo itself
        ["predict"],
    ]
    script = _COMMANDS.format(commands=commands, names=SLOW | {"torch"}) + _AFTERWARDS
    done = subprocess.run([sys.executable, "-c", script], cwd=dataset.parent, capture_output=True, text=True, check=False)
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("IMPORTED")]
    found = {command: names for command, *names in lines}
    assert found == {"evaluate": [], "embed-labels": [], "train": ["torch"], "predict": ["torch"]}, done.stderr
    assert done.stdout.endswith("AFTERWARDS\n"), done.stderr
