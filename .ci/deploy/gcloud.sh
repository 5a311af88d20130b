#!/usr/bin/env bash
# A stand-in for gcloud. It makes and removes things as Google Cloud would, as files in the folder cloud of
# $STAGE, and refuses to make one twice, to remove one that is missing or in use, and to use one that was
# not made. Each call is a line in the file calls. A call that begins with $FAIL fails. relays/FUNCTION
# holds the URL of that function.
set -euo pipefail
CLOUD=$STAGE/cloud
printf '%s\n' "gcloud$(printf ' %q' "$@")" >>"$STAGE/calls"
call="$*"
declare -A flag=()
words=() needs=()
for arg; do
  case $arg in
    --*=*) name=${arg%%=*} && flag[${name#--}]=${arg#*=} ;;
    --*) flag[${arg#--}]=yes ;;
    *) words+=("$arg") ;;
  esac
done
line="${words[*]}" last=${words[-1]}
die() { echo "gcloud $call: $*" >&2 && exit 1; }
file() { echo "$CLOUD/${1//\//_}"; }
[[ -z ${FAIL:-} || $call != "$FAIL"* ]] || die 'this call fails'
need() { [[ -e $(file "$1") ]] || die "$1 is not there"; }
create() { # THING [WHAT IT NEEDS]...
  [[ ! -e $(file "$1") ]] || die "$1 is there already"
  for thing in "${@:2}"; do need "$thing"; done
  printf '%s\n' "${@:2}" >"$(file "$1")"
}
remove() {
  need "$1"
  ! grep -Fxrl -- "$1" "$CLOUD" >&2 || die "$1 is in use"
  rm -f "$(file "$1")" "$(file "$1")"' role '*
}
account() { local name=${1##*[/:]} && echo "iam service-accounts ${name%%@*}"; }
role() { echo "$1 role $2 $(account "$3")"; }

for name in "${!flag[@]}"; do
  case $name in
    network | router) needs+=("compute ${name}s ${flag[$name]}") ;;
    subnet) needs+=("compute networks subnets ${flag[$name]}") ;;
    nat-external-ip-pool) needs+=("compute addresses ${flag[$name]}") ;;
    notification-channels) needs+=("beta monitoring channels ${flag[$name]}") ;;
    *service-account*) needs+=("$(account "${flag[$name]}")") ;;
  esac
done
deploy() { # SERVICE
  local dir=$CLOUD/services/$1 target=${flag[function]:-} env secret status=0 revision
  IFS='|' read -ra env <<<"${flag[set-env-vars]#'^|^'}"
  for name in "${env[@]}"; do if [[ $name == FUNCTION_TARGET=* ]]; then target=${name#*=}; fi; done
  [[ -e $STAGE/relays/$target ]] || die "the container did not start: no function '$target'"
  env -i "${env[@]}" PORT=none "$RELAY" >"$STAGE/probe" 2>&1 || status=$?
  ((status == 1)) || die "the container did not start: $(<"$STAGE/probe")" # good ones fail at PORT
  if [[ -n ${flag[set-secrets]:-} ]]; then
    secret=${flag[set-secrets]#*key=} && needs+=("secrets ${secret%:*}")
    need "$(role "secrets ${secret%:*}" roles/secretmanager.secretAccessor "${flag[service-account]}")"
  fi
  if [[ -n ${flag[source]:-} ]]; then
    need "$(role 'projects my-project' roles/run.builder "${flag[build-service-account]}")"
    touch "$CLOUD/artifacts repositories cloud-run-source-deploy"
    touch "$CLOUD/storage buckets gs:__run-sources-my-project-us-central1"
  fi
  [[ -d $dir || -z ${flag[no-traffic]:-} ]] || die "$1 is new"
  if [[ -d $dir ]]; then rm "$(file "run services $1")"; fi
  create "run services $1" "${needs[@]}"
  revision=$1-${flag[revision-suffix]:-by-hand}
  mkdir -p "$dir/tags" "$dir/revisions" && echo "$target" >"$dir/revisions/$revision"
  if [[ -z ${flag[no-traffic]:-} ]]; then echo "$revision" >"$dir/traffic"; fi
  if [[ -n ${flag[tag]:-} ]]; then echo "$revision" >"$dir/tags/${flag[tag]}"; fi
}
url() { cat "$STAGE/relays/$(<"$CLOUD/services/$1/revisions/$2")"; }
service=$CLOUD/services/$last
case $line in
  'config set project '* | 'services enable '* | 'logging read '* | 'run services logs read '*) ;;
  'projects describe '*) echo 123456789 ;;
  'builds list' | 'builds triggers describe '* | 'compute addresses describe '*) echo an-answer ;;
  'builds submit' | 'builds triggers run '*)
    need 'artifacts repositories relay'
    if [[ $line == *submit ]]; then need "storage buckets ${flag[gcs-source-staging-dir]%/source}"; fi
    for name in run.builder run.admin; do need "$(role 'projects my-project' roles/$name relay-build)"; done
    need "$(role 'iam service-accounts relay-run' roles/iam.serviceAccountUser relay-build)"
    exec env BUILD_WITH="${flag[substitutions]:-}" "$BUILDER"
    ;;
  *' monitoring '*' list') (cd "$CLOUD" && printf '%s\n' "${line% list}"*) | sed 's/.* //' ;;
  'storage rm '*) remove "storage buckets $last" ;;
  'run deploy '*) deploy "$last" ;;
  'run services list') if [[ -d $CLOUD/services ]]; then ls "$CLOUD/services"; fi ;;
  'run revisions list') ls -t "$CLOUD/services/${flag[service]}/revisions" ;;
  'run services delete '*) remove "run services $last" && rm -r "$service" ;;
  'run services update '*) printf '%s\n' "${needs[@]}" >>"$(file "run services $last")" ;;
  'run services update-traffic '*)
    if [[ -n ${flag[remove-tags]:-} ]]; then rm -f "$service/tags/${flag[remove-tags]}"; fi
    to=${flag[to-revisions]:-} && to=${to%=100}
    if [[ -n ${flag[to-latest]:-} ]]; then read -r to < <(ls -t "$service/revisions"); fi
    if [[ -n $to && ! -e $service/revisions/$to ]]; then die "no revision $to"; fi
    if [[ -n $to ]]; then echo "$to" >"$service/traffic"; fi
    ;;
  'run services describe '*)
    if [[ -z ${flag[flatten]:-} ]]; then url "$last" "$(<"$service/traffic")" && exit; fi
    for tag in "$service/tags/"*; do echo "${tag##*/},$(url "$last" "$(<"$tag")")"; done
    ;;
  *-iam-policy-binding' '*)
    target="${words[*]::${#words[@]}-2} $last"
    if [[ $line == iam* ]]; then target=$(account "$last"); fi
    need "$target" && need "$(account "${flag[member]}")"
    binding=$(role "$target" "${flag[role]}" "${flag[member]}")
    if [[ $line == *' add-'* ]]; then create "$binding"; else remove "$binding"; fi
    ;;
  *' create '* | *' create')
    case $line in
      iam*) last=$(account "$last") && last=${last##* } ;;
      *monitoring*) last=projects/p/things/$RANDOM$RANDOM ;;
      'builds triggers '*) last=${flag[name]} ;;
    esac
    create "${line%% create*} $last" "${needs[@]}" && echo "$last"
    ;;
  'iam service-accounts delete '*) remove "$(account "$last")" ;;
  *' delete '*) remove "${line%% delete*} $last" ;;
  *) die 'the stand-in does not know this command' ;;
esac
