"""A real Slurm of one's own: munged, slurmctld and some virtual nodes on this machine, on the loopback alone.

No systemd, no cgroups, no accounting; nothing outside of its folder. Needs root (slurmd sets the user of jobs) and Debian's
packages slurmctld, slurmd, slurm-client and munge.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "sinfo", "squeue")
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

# `cred_expire` is how long a job that is queued again must wait, at least 5 s; the cgroup plugin is named because the probe for
# one fails where none is mounted. A job of the partition `urgent` takes the nodes of one of `main`, which is queued again.
_CONF = """\
ClusterName=sandbox
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000,requeue_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=20
MessageTimeout=60
SlurmctldTimeout=60
SlurmdTimeout=120
InactiveLimit=0
"""
_PARTITIONS = """\
PartitionName=main Nodes=node[1-{nodes}] Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=8 State=UP
PartitionName=urgent Nodes=node[1-{nodes}] MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
"""


def why_not() -> str:
    """Why there can be no Slurm here; empty where there can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "slurmd must be started by root"


@contextmanager
def slurm(nodes: int) -> Iterator[dict[str, str]]:
    """Runs a cluster of nodes of two cores each while open. Gives the environment in which its commands find it."""
    root = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # a socket's path is short
    daemons: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "PATH": _PATH, "SLURM_CONF": str(root / "slurm.conf")}
    environment.pop("PYTEST_XDIST_WORKER", None)

    def launch(*command: str) -> None:
        log = (root / f"{command[0]}-{len(daemons)}.out").open("wb")
        daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))

    try:
        root.chmod(0o755)
        _configure(root, nodes)
        launch("munged", "--foreground", "--force", f"--key-file={root}/key", f"--socket={root}/munge.socket",
               f"--pid-file={root}/munged.pid", f"--seed-file={root}/seed", f"--log-file={root}/munged.log")  # fmt: skip
        _until((root / "munge.socket").exists, "munged")
        launch("slurmctld", "-D", "-i")
        for number in range(1, nodes + 1):
            launch("slurmd", "-D", "-N", f"node{number}")
        idle = ["sinfo", "--noheader", "--Node", "--partition=main", "--format=%t"]
        _until(lambda: _told(environment, *idle).split() == ["idle"] * nodes, "all nodes idle")
        yield environment
    finally:
        if len(daemons) > 1:
            subprocess.run(["scancel", "--user=root"], env=environment, check=False, capture_output=True, timeout=60)
            _until(lambda: not _told(environment, "squeue", "--noheader").strip(), "no jobs", fails=False)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(timeout=15)
            except subprocess.TimeoutExpired:
                daemon.kill()
        shutil.rmtree(root, ignore_errors=True)


def _configure(root: Path, nodes: int) -> None:
    for name in ("state", "spool"):
        (root / name).mkdir()
    host, port = socket.gethostname().split(".")[0], _free_ports(nodes + 1)
    lines = [_CONF.format(root=root, host=host, port=port)]
    for number in range(1, nodes + 1):
        (root / f"spool/node{number}").mkdir()
        place = f"NodeName=node{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + number}"
        lines.append(f"{place} CPUs=2 RealMemory=4000 State=UNKNOWN\n")
    (root / "slurm.conf").write_text("".join(lines) + _PARTITIONS.format(nodes=nodes))
    (root / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    (root / "key").write_bytes(os.urandom(1024))
    (root / "key").chmod(0o600)


def _free_ports(count: int) -> int:
    """The first of `count` free ports in a row."""
    for first in range(16817 + os.getpid() % 20000, 60000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as free:
                    free.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")


def _told(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


def _until(holds: Callable[[], bool], what: str, fails: bool = True) -> None:
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            assert not fails, f"Slurm: not {what} within a minute"
            return
        time.sleep(0.1)
