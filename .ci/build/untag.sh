#!/usr/bin/env bash
# untag.sh TAG SERVICE...: after a failure, says where to read on and takes the tag away. A tagged revision
# answers whoever knows its URL, with instances of its own.
set -uo pipefail
tag=$1
shift
for service; do
  logs="https://console.cloud.google.com/run/detail/$REGION/$service/logs?project=$PROJECT"
  echo "the log of $service-$tag: $logs" >&2
  gcloud run services update-traffic "$service" --region="$REGION" --remove-tags="$tag" --quiet </dev/null ||
    echo "the tag $tag may still be at $service: remove it by hand" >&2
done
