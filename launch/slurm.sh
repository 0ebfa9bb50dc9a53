#!/usr/bin/env bash
# Trains on several machines of a SLURM cluster, one process each, and starts again what was lost.
#
#   sbatch --nodes=8 --gpus-per-node=8 launch/slurm.sh \
#       --config configs/prior.py:5b_lyrics --workdir /shared/runs/level_2 --config.data.source=/shared/songs
#
# Arguments go to launch/train.py. The project lies on a file system that all machines see, set up
# there by launch/setup.sh (PYTHON below says which interpreter), and so do the workdir and the songs.
# Time, partition and account are sbatch's own options. SLURM tells each process of the others.
#SBATCH --job-name=jukebox
#SBATCH --ntasks-per-node=1
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
set -uo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
python=${PYTHON:-.venv/bin/python}
stopped=3 # the status of a run that was told to stop before its last step

# Five minutes before the time limit the run is told to stop: it saves and ends, and the job goes back
# into the queue, until its last step is done. `scancel` ends it for good.
out_of_time=
trap 'out_of_time=1; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

# A lost process ends the others within a minute, and srun ends with a status that is not 0. Then all
# are started again, up to RESTARTS times: the same command goes on from the last checkpoint.
for attempt in $(seq 0 "${RESTARTS:-20}"); do
  srun --kill-on-bad-exit=1 "$python" launch/train.py --stopped="$stopped" "$@" &
  step=$!
  wait "$step"
  status=$?
  while kill -0 "$step" 2>/dev/null; do # the signal ended the waiting, not the run
    wait "$step"
    status=$?
  done
  case $status in
    0) exit 0 ;;
    1) exit 1 ;; # a mistake of the config or the songs, which does not mend itself
    "$stopped")
      [ -z "$out_of_time" ] && exit 0 # told by someone else
      echo "slurm.sh: out of time; back into the queue" >&2
      exec scontrol requeue "$SLURM_JOB_ID"
      ;;
  esac
  echo "slurm.sh: attempt $attempt ended with $status; starting again" >&2
  sleep 10
done
exit "$status"
