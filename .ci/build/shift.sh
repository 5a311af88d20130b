#!/usr/bin/env bash
# Gives the traffic to the revisions that were tested, by their names: another build may have deployed
# since.
set -euo pipefail
here=${BASH_SOURCE%/*}
tag=b${BUILD%%-*}
mapfile -t services < <(cut -d' ' -f1 candidates)
trap '(($? == 0)) || bash "$here/untag.sh" "$tag" "${services[@]}"' EXIT

while read -r service _ revision _; do
  gcloud run services update-traffic "$service" --region="$REGION" --to-revisions="$revision=100" \
    --remove-tags="$tag" --quiet </dev/null
  gcloud run services describe "$service" --region="$REGION" --format='value(status.url)' </dev/null
done <candidates
