"""The address at which ranks that srun started connect; torchrun sets it itself."""

import os
import re
import socket


def set_rendezvous() -> None:
    """Sets MASTER_ADDR and MASTER_PORT for ranks that srun started: the node of rank 0, and a port that depends on the step."""
    if "RANK" in os.environ:
        return
    job, step = int(os.environ.get("SLURM_JOB_ID", "0")), int(os.environ.get("SLURM_STEP_ID", "0"))
    os.environ.setdefault("MASTER_PORT", str(20000 + (97 * job + step) % 20000))
    os.environ.setdefault("MASTER_ADDR", _first_address())


def _first_address() -> str:
    """The address of the first node of the step; if its name cannot be resolved, of the machine that started the step."""
    node = first_node(os.environ.get("SLURM_STEP_NODELIST", "localhost"))
    try:
        return socket.gethostbyname(node)
    except OSError:
        return os.environ.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1")


def first_node(nodes: str) -> str:
    """The first name of a Slurm node list: gpu07 of gpu[07-09,12],cpu1."""
    found = re.match(r"([^\[,]*)(?:\[(\w+)[^\]]*\])?", nodes)
    return "".join(part or "" for part in found.groups()) if found else nodes
