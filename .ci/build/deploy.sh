#!/usr/bin/env bash
# Deploys the image as a new revision of each service of FUNCTIONS, without traffic, reachable at the URL of
# a tag of its own, and lists the revisions in the file candidates: service, function, revision, URL.
set -euo pipefail
here=${BASH_SOURCE%/*}
tag=b${BUILD%%-*}

case $KEY_FROM in
  none)
    key_env=
    key_mount=--clear-secrets
    ;;
  file)
    key_env='|SECRET_KEY_FILE=/secrets/relay/key'
    key_mount=--set-secrets=/secrets/relay/key=$SECRET:latest
    ;;
  api)
    key_env="|SECRET_KEY_SECRET=projects/$PROJECT/secrets/$SECRET/versions/latest"
    key_mount=--clear-secrets
    ;;
  *)
    echo "_KEY_FROM is none, file or api, not '$KEY_FROM'" >&2
    exit 1
    ;;
esac

# The relay shares out what GOMEMLIMIT allows: 400 MiB of 512. The rest is for the program itself, for the
# mounted secret, and for what the kernel holds for connections.
case $MEMORY in
  *Mi) mib=${MEMORY%Mi} ;;
  *Gi) mib=$((${MEMORY%Gi} * 1024)) ;;
  *)
    echo "_MEMORY is a whole number of Mi or Gi, not '$MEMORY'" >&2
    exit 1
    ;;
esac
environment="GOOGLE_CLOUD_PROJECT=$PROJECT|GOMEMLIMIT=$((mib * 25 / 32))MiB$key_env"
if [[ -n $ENVIRONMENT ]]; then environment+="|$ENVIRONMENT"; fi

# "list" tells a missing service from a failed request, which "describe" does not. All names are compared
# here, exactly: a filter of gcloud may match more than it says.
services=$(gcloud run services list --region="$REGION" --format='value(metadata.name)')

deployed=()
trap '(($? == 0)) || bash "$here/untag.sh" "$tag" "${deployed[@]}"' EXIT
: >candidates
for pair in $FUNCTIONS; do
  service=${pair%%:*} target=${pair#*:}

  # A new service has no revision to protect, and gcloud refuses --no-traffic for it.
  traffic=()
  if grep -Fxq -- "$service" <<<"$services"; then traffic=(--no-traffic); fi

  # --no-invoker-iam-check: Cloud Run's own check wants a token signed by Google in the Authorization
  # header, where XDR sends the module's JWT. With the check every request of XDR would end in a 403. The
  # relay verifies the JWT itself, before anything else. --clear-base-image: after a deployment with
  # --source, Cloud Run would go on to put its own base image under an image that was not built for that.
  deployed+=("$service")
  gcloud run deploy "$service" "${traffic[@]}" \
    --image="$IMAGE" \
    --clear-base-image \
    --region="$REGION" \
    --service-account="$RUN_SA" \
    --no-invoker-iam-check \
    --ingress=all \
    --set-env-vars="^|^FUNCTION_TARGET=$target|$environment" \
    "$key_mount" \
    --cpu=1 \
    --memory="$MEMORY" \
    --cpu-boost \
    --cpu-throttling \
    --concurrency="$CONCURRENCY" \
    --min="$MIN" \
    --max-instances="$MAX_INSTANCES" \
    --timeout="$TIMEOUT" \
    --revision-suffix="$tag" \
    --tag="$tag" \
    --quiet

  url=$(gcloud run services describe "$service" --region="$REGION" --flatten='status.traffic[]' \
    --format='csv[no-heading](status.traffic.tag,status.traffic.url)' | sed -n "s/^$tag,//p")
  [[ -n $url ]] || {
    echo "$service has no URL for the tag $tag" >&2
    exit 1
  }
  echo "$service $target $service-$tag $url" >>candidates
done
