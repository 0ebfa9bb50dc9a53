#!/usr/bin/env bash
# Trains on all hosts of a TPU VM slice, and starts again what was lost. Runs on your own machine.
#
#   TPU=my-slice ZONE=us-east5-a bash launch/tpu_pod.sh \
#       --config configs/prior.py:5b_lyrics --workdir gs://bucket/level_2 --config.data.source=tfds:my_songs
#
# Arguments go to launch/train.py on every host; the hosts find one another. TPU and ZONE name the
# slice; FOLDER is where the project lies on its hosts. Once, to put it there and set it up:
#
#   gcloud compute tpus tpu-vm scp --recurse . my-slice:jukebox --zone=us-east5-a --worker=all
#   gcloud compute tpus tpu-vm ssh my-slice --zone=us-east5-a --worker=all \
#       --command='bash jukebox/launch/setup.sh train,tpu'
#
# The workdir is a bucket, or a folder that all hosts mount.
set -uo pipefail
: "${TPU:?the name of the slice}" "${ZONE:?the zone of the slice}"
folder=${FOLDER:-jukebox}
arguments=$(printf ' %q' "$@")

# A lost host ends the processes of the others within a minute, and one that is told to stop, for
# maintenance, ends all of them well. Then all are started again, up to RESTARTS times: the same
# command goes on from the last checkpoint.
for attempt in $(seq 0 "${RESTARTS:-20}"); do
  gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all \
    --command="cd $folder && .venv/bin/python launch/train.py --cluster --stopped=3$arguments" && exit 0
  status=$?
  echo "tpu_pod.sh: attempt $attempt ended with $status; starting again" >&2
  sleep 30
done
exit "$status"
