"""AdamW without the import of torch's compiler."""

from typing import Any

import torch


def _plain(name: str) -> Any:
    """A method of torch's AdamW without the wrapper that imports torch._dynamo when it is first called."""
    method = getattr(torch.optim.AdamW, name)
    return getattr(method, "__wrapped__", method)


class AdamW(torch.optim.AdamW):
    """torch's AdamW, the same numbers and saved state.

    torch wraps some methods so that `torch.compile` leaves them alone. The wrappers import torch._dynamo, which takes about as
    long as importing torch itself. cxrlt compiles the network only, never the optimizer.
    """

    add_param_group = _plain("add_param_group")
    zero_grad = _plain("zero_grad")
    state_dict = _plain("state_dict")
    load_state_dict = _plain("load_state_dict")
    step = torch.no_grad()(_plain("step"))
