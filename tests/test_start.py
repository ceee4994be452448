"""What a command imports before its first result, which is most of the time of a small case."""

import subprocess
import sys
from pathlib import Path

#: Slow to import, and needed by other commands, or with --compile only.
SLOW = {"torch", "torch._dynamo", "sympy", "triton", "transformers", "matplotlib"}

#: `evaluate`, then what `predict`, `explain` and `train` do with torch; then what works as after a usual import of torchvision.
_SCRIPT = """
import sys
def imported():
    print("IMPORTED", *sorted({names!r} & set(sys.modules)))
from cxrlt_cli.app import app
app({evaluate!r}, standalone_mode=False)
imported()
import torch
import cxrlt_cli.explain.explain, cxrlt_cli.predict.predict, cxrlt_cli.train.train
from cxrlt_cli.model.encoder import VisualEncoder, torchvision
from cxrlt_cli.train.adamw import AdamW
encoder = VisualEncoder("resnet18")
VisualEncoder("timm:test_resnet")
optimizer = AdamW(encoder.parameters(), fused=True)
optimizer.zero_grad(set_to_none=True)
encoder(torch.zeros(2, 1, 32, 32)).sum().backward()
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
pooled = torchvision.ops.roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]]), 2)
assert pooled.tolist() == [[[[1, 1], [1, 1]]]]
imported()
supported = sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu")
from torch._dynamo.utils import is_compile_supported
assert supported == is_compile_supported("cpu")
assert torch.compile(lambda x: 2 * x + 1, backend="eager")(torch.ones(2)).tolist() == [3, 3]
print("AFTERWARDS")
"""


def test_commands_do_not_import_what_they_do_not_use(golden: Path, tmp_path: Path) -> None:
    """`evaluate` of few images does without torch; `train`, `predict` and `explain` do without torch's compiler."""
    evaluate = ["evaluate", "whole", "--workspace", str(golden), "--output", str(tmp_path), "--bootstrap", "50"]
    script = _SCRIPT.format(evaluate=evaluate, names=SLOW)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("IMPORTED", "AFTERWARDS"))]
    assert lines == ["IMPORTED", "IMPORTED torch", "AFTERWARDS"], done.stderr
