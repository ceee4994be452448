"""The optimizer is torch's, number for number."""

import torch

from cxrlt_cli.train.adamw import AdamW


def _trained(
    kind: type[torch.optim.AdamW], saved: dict[str, object] | None = None
) -> tuple[list[torch.Tensor], dict[str, object]]:
    """Weights after three steps in two groups, and the optimizer's state; three more steps from a saved state."""
    weights = [torch.nn.Parameter(torch.linspace(-1, 1, count)) for count in (5, 3)]
    groups = [{"params": [weights[0]], "weight_decay": 0.1}, {"params": [weights[1]], "weight_decay": 0.0, "scale": 0.5}]
    optimizer = kind(groups, lr=0.1, fused=True)
    if saved:
        optimizer.load_state_dict(saved)
    for factor in (1.0, -3.0, 0.5):
        optimizer.zero_grad(set_to_none=True)
        assert all(weight.grad is None for weight in weights)
        torch.stack([(factor * weight**2).sum() for weight in weights]).sum().backward()
        optimizer.step()
    return [weight.detach() for weight in weights], optimizer.state_dict()


def test_steps_and_saved_state_equal_those_of_torch() -> None:
    (ours, state), (theirs, reference) = _trained(AdamW), _trained(torch.optim.AdamW)
    assert all(map(torch.equal, ours, theirs))
    assert state["param_groups"] == reference["param_groups"]
    resumed, _ = _trained(AdamW, reference)
    continued, _ = _trained(torch.optim.AdamW, state)
    assert all(map(torch.equal, resumed, continued))
    assert not torch.equal(resumed[0], ours[0])
