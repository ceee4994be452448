# Every job of the pipeline begins with this: the environment it runs in.
set -uo pipefail
export PATH=@BIN@:$PATH
export CXRLT_WORKSPACE=@WORKSPACE@
export HF_HUB_OFFLINE=1    # compute nodes have no internet: cxrlt fetch has filled the caches
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}    # srun does not take it over from the batch script
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
@SETUP@
# What Slurm should do about how a command ended; call it last.
#   75   stopped by SIGUSR1 (the time limit is near) with its state saved: queue the job again.
#        138 is SIGUSR1 before the command could listen: nothing is lost either.
#   143  stopped by SIGTERM with its state saved. A preempted job is queued again by Slurm itself, but only if this script still
#        lives; a cancelled one must stay cancelled: so wait, and queue nothing.
finish() {
    local rc=$1 job=$SLURM_JOB_ID
    [[ -n ${SLURM_ARRAY_JOB_ID:-} ]] && job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
    if (( (rc == 75 || rc == 138) && ${SLURM_RESTART_COUNT:-0} < @RESTARTS@ )); then
        scontrol requeue "$job" && sleep 300
    elif (( rc == 143 )) && ! scontrol show job -o "$job" | grep -q PreemptTime=None; then
        sleep 300
    fi
    exit "$rc"
}
