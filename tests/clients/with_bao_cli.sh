#!/usr/bin/env bash
# The official command line, unchanged, through one address. BAO_ADDR and BAO_TOKEN say where, BAO names the program.
# Every check reads what was just written.
set -euo pipefail
checks=0
tag=$RANDOM
export HOME
HOME=$(mktemp -d) # the token helper writes there
trap 'rm -rf "$HOME"' EXIT

fail() { echo "FAILED: $1"; exit 1; }
# is WHAT EXPECTED COMMAND...: the command's whole output
is() {
  local what=$1 expected=$2 got
  shift 2
  got=$("$@" 2>&1) || fail "$what: $* ended with $?: $got"
  [ "$got" = "$expected" ] || fail "$what: $*: wanted '$expected', got '$got'"
  checks=$((checks + 1))
}
works() { local got; got=$("$@" 2>&1) || fail "$* ended with $?: $got"; checks=$((checks + 1)); }
fails() { local got; ! got=$("$@" 2>&1) || fail "$* should have failed: $got"; checks=$((checks + 1)); }
bao() { "$BAO" "$@"; }

works bao status
works bao operator raft list-peers

works bao secrets enable -path="one-$tag" -version=1 kv
works bao secrets enable -path="two-$tag" -version=2 kv
works bao secrets enable -path="transit-$tag" transit
for n in 1 2 3 4 5; do
  works bao kv put "one-$tag/a" "n=$n"
  is "kv1 read after write" "$n" bao kv get -field=n "one-$tag/a"
  works bao kv put "two-$tag/a" "n=$n"
  is "kv2 read after write" "$n" bao kv get -field=n "two-$tag/a"
done
works bao kv delete "one-$tag/a"
fails bao kv get "one-$tag/a"
works bao kv patch "two-$tag/a" more=yes
is "kv2 patch" yes bao kv get -field=more "two-$tag/a"
is "kv2 old version" 2 bao kv get -version=2 -field=n "two-$tag/a"
works bao kv delete "two-$tag/a"
fails bao kv get -field=n "two-$tag/a"
works bao kv undelete -versions=6 "two-$tag/a"
is "kv2 undelete" 5 bao kv get -field=n "two-$tag/a"
works bao kv rollback -version=1 "two-$tag/a"
is "kv2 rollback" 1 bao kv get -field=n "two-$tag/a"
works bao kv metadata put -max-versions=9 "two-$tag/a"
is "kv2 metadata" 9 bao read -field=max_versions "two-$tag/metadata/a"
works bao kv list "two-$tag/"
works bao kv metadata delete "two-$tag/a"
fails bao kv metadata get "two-$tag/a"

works bao write -f "transit-$tag/keys/k"
sealed=$(bao write -field=ciphertext "transit-$tag/encrypt/k" plaintext=aGVsbG8=)
is "transit" aGVsbG8= bao write -field=plaintext "transit-$tag/decrypt/k" "ciphertext=$sealed"
works bao write -f "transit-$tag/keys/k/rotate"
is "transit rotated" 2 bao read -field=latest_version "transit-$tag/keys/k"

echo 'path "two-'"$tag"'/*" { capabilities = ["create", "read", "update", "delete", "list"] }' > "$HOME/policy.hcl"
works bao policy write "p-$tag" "$HOME/policy.hcl"
is "policy" "$(cat "$HOME/policy.hcl")" bao policy read "p-$tag"

works bao auth enable -path="approle-$tag" approle
works bao write "auth/approle-$tag/role/r" "token_policies=p-$tag"
role=$(bao read -field=role_id "auth/approle-$tag/role/r/role-id")
secret=$(bao write -f -field=secret_id "auth/approle-$tag/role/r/secret-id")
token=$(bao write -field=token "auth/approle-$tag/login" "role_id=$role" "secret_id=$secret")
works env BAO_TOKEN="$token" "$BAO" kv put "two-$tag/own" "n=1"
is "approle session" 1 env BAO_TOKEN="$token" "$BAO" kv get -field=n "two-$tag/own"
fails env BAO_TOKEN="$token" "$BAO" policy list

works bao auth enable -path="userpass-$tag" userpass
works bao write "auth/userpass-$tag/users/ann" password=word "token_policies=p-$tag"
works env -u BAO_TOKEN "$BAO" login -method=userpass -path="userpass-$tag" username=ann password=word
works env -u BAO_TOKEN "$BAO" kv put "two-$tag/ann" "n=2"
is "userpass session" 2 env -u BAO_TOKEN "$BAO" kv get -field=n "two-$tag/ann"
works env -u BAO_TOKEN "$BAO" token lookup

child=$(bao token create -policy="p-$tag" -ttl=1h -field=token)
works env BAO_TOKEN="$child" "$BAO" token lookup
works bao token renew "$child"
works bao token revoke "$child"
fails env BAO_TOKEN="$child" "$BAO" token lookup

entity=$(bao write -field=id identity/entity "name=e-$tag")
is "identity" "e-$tag" bao read -field=name "identity/entity/id/$entity"
works bao delete "identity/entity/id/$entity"
fails bao read "identity/entity/id/$entity"

wrapped=$(bao kv put -wrap-ttl=60s -field=wrapping_token "two-$tag/w" n=3)
works bao unwrap "$wrapped"
fails bao unwrap "$wrapped"

works bao operator raft snapshot save "$HOME/snapshot"
[ -s "$HOME/snapshot" ] || fail "the snapshot is empty"
works bao secrets disable "one-$tag"
fails bao kv get "one-$tag/a"
echo "$("$BAO" version | head -c 15): $checks checks hold"
