#!/bin/bash
# A chained CNI plugin that does nothing, until it is told to misbehave.
#
# Its configuration names a control file ("control"); the file's words decide:
#   fail-add hang-add garbage-add fail-del hang-del
# each for every pod, or with "@NAME" for the pod of that name alone.
# Without the file, or for other verbs, it hands on the previous result. Each
# call is noted in CONTROL.log as "VERB CONTAINER".
set -euo pipefail
input=$(cat)
control=$(jq -r .control <<<"$input")
version=$(jq -r .cniVersion <<<"$input")
verb=${CNI_COMMAND,,}

refuse() {
  jq -n --arg v "$version" --arg m "$1" \
    '{cniVersion: $v, code: 999, msg: $m, details: "on order of a test"}'
  exit 1
}

[ -z "${CNI_CONTAINERID:-}" ] ||
  echo "$verb $CNI_CONTAINERID" >>"$control.log"
pod=$(sed -n 's/.*K8S_POD_NAME=\([^;]*\).*/\1/p' <<<"${CNI_ARGS:-}")
order=$(cat "$control" 2>/dev/null || true)
# What is ordered for this pod, as if it were for all.
[ -z "$pod" ] || order=${order//@$pod/}
case " $order " in
  *" fail-$verb "*) refuse "the plugin fails as ordered" ;;
  *" hang-$verb "*) exec sleep 1000000 ;;
  *" garbage-$verb "*) echo 'this is { not JSON'; exit 0 ;;
esac
case $verb in
  add) jq .prevResult <<<"$input" ;;
  version)
    jq -n --arg v "$version" '{cniVersion: $v, supportedVersions:
      ["0.3.0", "0.3.1", "0.4.0", "1.0.0"]}' ;;
esac
