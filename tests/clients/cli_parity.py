"""The same command lines with the official `bao` and with `understudy`, each against a real server of its own.

Environment: BAO and UNDERSTUDY name the programs. Compared: standard output with volatile values masked, exit codes,
and the error lines of standard error. A difference ends with exit code 1 and shows both sides.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

BAO, US = os.environ["BAO"], os.environ["UNDERSTUDY"]

# Lines with {us} get the side's own name, so that both write to places of their own. A line may name a file to keep
# its output in (after >), which later lines use as {name}.
LINES = """
status
status -format=json
status -format=yaml
status extra
status -address=http://127.0.0.1:1
version-is-not-a-verb
kv
operator
operator raft
operator raft snapshot
kv metadata
token
policy
secrets
auth
audit
lease
print
read
read -format=bad sys/mounts
read secret/data/nope
read -field=nope secret/data/nope
read auth/token/lookup-self
read -format=json auth/token/lookup-self
read -format=yaml auth/token/lookup-self
read -field=policies auth/token/lookup-self
read -field=policies -format=json auth/token/lookup-self
read -field=data -format=json auth/token/lookup-self
read -field=zzz auth/token/lookup-self
read -wrap-ttl=60s auth/token/lookup-self
read -wrap-ttl=60s -format=json auth/token/lookup-self
write
write cubbyhole/a
write cubbyhole/a x
write cubbyhole/a @nofile
write cubbyhole/a x=@nofile
write cubbyhole/a x=1 y=two
write -format=json cubbyhole/a x=1 y=two
read cubbyhole/a
read -format=json cubbyhole/a
read -field=y cubbyhole/a
list
list a b
list cubbyhole
list -format=json cubbyhole
list -format=yaml cubbyhole
list cubbyhole/none
list -format=json cubbyhole/none
delete
delete a b
delete cubbyhole/a
delete -format=json cubbyhole/a
write sys/mounts/xx type=nosuch
write -output-policy sys/mounts/x a=b
read -output-policy secret/x
list -output-policy secret/metadata
delete -output-policy a/b
patch secret/data/none x=1
kv put secret/{us} x=1 y=two
kv put -format=json secret/{us} x=1 y=two
kv put -cas=9 secret/{us} x=1
kv put secret/{us}
kv put
kv put -field=version secret/{us} x=1 y=two
kv put secret/j @{dir}/j.json
kv get
kv get a b
kv get secret/{us}
kv get -mount=secret {us}
kv get -version=1 secret/{us}
kv get -version=99 secret/{us}
kv get -version=x secret/{us}
kv get -version
kv get -format=json secret/{us}
kv get -format=yaml secret/{us}
kv get secret/j
kv get -format=json secret/j
kv get -format=yaml secret/j
kv get -field=l secret/j
kv get -field=l -format=json secret/j
kv get -field=s -format=yaml secret/j
kv get -field=x secret/{us}
kv get -field=nope secret/{us}
kv get secret/none
kv get -format=json secret/none
kv get nomount/a
kv get -output-policy secret/b
kv patch secret/{us} z=3
kv patch -method=rw secret/{us} w=4
kv get -format=json secret/{us}
kv patch secret/none y=2
kv list
kv list secret/none
kv delete
kv delete secret/{us}
kv get secret/{us}
kv get -format=json secret/{us}
kv undelete secret/{us}
kv undelete -versions=5 secret/{us}
kv destroy -versions=1 secret/{us}
kv get -version=1 secret/{us}
kv delete -versions=2,3 secret/{us}
kv metadata get
kv metadata get secret/{us}
kv metadata get -format=json secret/{us}
kv metadata put -max-versions=7 -custom-metadata=a=b -delete-version-after=1h secret/{us}
kv metadata patch -custom-metadata=c=d secret/{us}
kv metadata patch -remove-custom-metadata=c secret/{us}
kv metadata get secret/{us}
kv rollback secret/{us}
kv rollback -version=1 secret/{us}
kv rollback -version=2 secret/{us}
kv rollback -version=4 secret/{us}
kv metadata delete secret/{us}
kv metadata get secret/{us}
secrets enable -path=one-{us} -version=1 kv
kv put one-{us}/a x=1
kv get one-{us}/a
kv get -format=json one-{us}/a
kv get -field=x one-{us}/a
kv patch one-{us}/a y=1
kv list one-{us}
kv list -format=json one-{us}
kv undelete -versions=1 one-{us}/a
kv metadata get one-{us}/a
kv destroy -versions=1 one-{us}/a
kv rollback -version=1 one-{us}/a
kv delete one-{us}/a
kv get one-{us}/a
kv enable-versioning one-{us}
kv enable-versioning
secrets list
secrets list -detailed
secrets list -format=json
secrets list x
secrets enable
secrets enable nosuch
secrets enable -path=one-{us} kv
secrets tune -max-lease-ttl=3h one-{us}
secrets tune nosuch
secrets move one-{us} two-{us}
secrets disable two-{us}
secrets disable two-{us}
secrets disable
auth list
auth list -detailed
auth list -format=json
auth enable
auth enable nosuch
auth enable -path=up-{us} -description=d -max-lease-ttl=3h userpass
auth tune -default-lease-ttl=1h up-{us}
auth move auth/up-{us} auth/upp-{us}
write auth/upp-{us}/users/ann password=word token_policies=default
login -method=userpass -path=upp-{us} username=ann password=word
login -method=userpass -path=upp-{us} -format=json username=ann password=word
login -method=userpass -path=upp-{us} -no-print username=ann password=word
login -method=userpass -path=upp-{us} username=ann password=no
login -method=userpass
login nosuch
login -no-print root
login -token-only root
login a b
auth disable upp-{us}
audit list
audit list -format=json
audit list x
audit enable
audit enable file file_path=/tmp/none
audit disable none
token create -policy=default -ttl=1h
token create -policy=default -ttl=1h -format=json -metadata=a=b
token create -policy=default -type=batch -ttl=60s
token create -policy=default -period=1h -orphan -explicit-max-ttl=9h -use-limit=3 -display-name=x
token create -ttl=abc
token create -ttl
token create nosuch
token create -role=nosuch
token create -wrap-ttl=60s
token create -policy=default -ttl=1h -field=token >token
token lookup
token lookup -format=json
token lookup {token}
token lookup -field=accessor {token} >accessor
token lookup -accessor {accessor}
token lookup -accessor
token lookup nosuch
token lookup a b
token renew {token}
token renew -increment=30m {token}
token renew nosuch
token renew a b
token capabilities secret/a
token capabilities {token} secret/a
token capabilities -format=json secret/a
token capabilities
token revoke
token revoke -self a
token revoke {token}
token revoke {token}
token revoke -accessor nosuch
policy write p-{us} {dir}/p.hcl
policy write p-{us} nofile
policy write p-{us}
policy read p-{us}
policy read -format=json p-{us}
policy read none
policy list x
policy delete p-{us}
policy list
policy list -format=json
lease lookup
lease lookup nosuch
lease renew nosuch
lease revoke nosuch
lease revoke -force a
lease revoke -prefix auth/userpass/login
lease revoke -sync -prefix x
read -wrap-ttl=60s -field=wrapping_token auth/token/lookup-self >wrapped
unwrap {wrapped}
unwrap nosuch
unwrap a b
operator init -status
operator init -status -format=json
operator init x
operator key-status
operator key-status -format=json
operator rotate x
operator seal x
operator step-down x
operator raft list-peers
operator raft join
operator raft remove-peer
operator raft snapshot save
operator raft snapshot restore
operator raft snapshot restore nofile
operator generate-root -status
operator generate-root -status -format=json
operator generate-root -init -otp=wHmx6kIcs4EQ4td30Vq4E5MAl7
operator generate-root -init -otp=wHmx6kIcs4EQ4td30Vq4E5MAl7
operator generate-root -status
operator generate-root -decode=AAAA -otp=wHmx6kIcs4EQ4td30Vq4E5MAl7
operator generate-root -cancel
operator rotate
operator rekey -status
operator rekey -init
print token
""".strip().splitlines()

MASKS = [
    (r"Waiting for terminal status.*\n", ""),  # only where the move is still under way when it is asked for
    (r"[sb]\.[A-Za-z0-9_-]{20,}", "TOKEN"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( \+0000 UTC|Z)", "TIME"),
    (r"\b[A-Za-z0-9]{24}\b", "ACCESSOR"),
    (r"_[0-9a-f]{8}\b", "_ACCESSOR"),
    (r"vault-cluster-[0-9a-f]{8}", "CLUSTER"),
    (r"\b1[78]\d{8}\b", "SECONDS"),
    (r"\b59m5\ds|\b29m5\ds|\b1h\b(?=\n)|\b30m\b", "TTL"),
    (r'("ttl": )\d+', r"\1TTL"),
    (r"\d\d \w{3} \d\d \d\d:\d\d UTC", "DATE"),
    (r"(Encryption Count +|\"encryptions\": )\d+", r"\1N"),
    (r"OpenBao|Vault", "SERVER"),
    (r"understudy|\bbao\b|BAO_|VAULT_", "PROGRAM"),
    (r" +(?=\n|$)", ""),
    (r"-{3,}", "---"),
    (r" {2,}", "  "),
]
# Help texts are ours; what is compared is that there is one and the exit code.
HELP = re.compile(r"^(Unknown command.*\n\n)?Usage: .*", re.S)
SUGGESTION = re.compile(r"; did you mean .*\?")


def mask(text, side, address):
    text = text.replace(side, "SIDE").replace(address, "ADDRESS")
    if HELP.match(text):
        return "HELP"
    text = SUGGESTION.sub("", text)
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text)
    return text


def run(program, side, line, home, kept, address):
    line, _, keep = line.partition(" >")
    words = [word.format(us=side, dir=home, **kept) for word in line.split()]
    env = {"PATH": os.environ["PATH"], "HOME": home, "VAULT_ADDR": address, "VAULT_TOKEN": "root",
           "VAULT_MAX_RETRIES": "0"}
    done = subprocess.run([program, *words], env=env, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, cwd=home)
    if keep:
        kept[keep] = done.stdout.strip()
    return {"exit": done.returncode, "stdout": mask(done.stdout, side, address), "stderr": mask(done.stderr, side, address)}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(home):
    port = free_port()
    server = subprocess.Popen(
        [BAO, "server", "-dev", "-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{port}",
         "-dev-no-store-token"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "HOME": home})
    address = f"http://127.0.0.1:{port}"
    for _ in range(100):
        asked = subprocess.run([BAO, "status"], env={"VAULT_ADDR": address, "HOME": home}, capture_output=True)
        mounted = asked.returncode == 0 and subprocess.run(
            [BAO, "kv", "list", "secret"], env={"VAULT_ADDR": address, "VAULT_TOKEN": "root", "HOME": home},
            capture_output=True).stderr.startswith(b"No value")
        if mounted:
            return server, address
        time.sleep(0.1)
    server.kill()
    sys.exit("the server did not start")


def main():
    different = 0
    with tempfile.TemporaryDirectory() as home:
        with open(f"{home}/j.json", "w") as file:
            json.dump({"n": 1.5, "t": True, "nil": None, "l": [1, "a", {"k": []}], "m": {}, "s": "<a&b>",
                       "ml": "a\nb\n", "c": "a: b", "at": "@x", "y": "yes", "date": "2026-01-01", "ttl": 60,
                       "e": "", "dash": "-", "uni": "ü", "lead": "\n a", "colon": "1:30"}, file)
        with open(f"{home}/p.hcl", "w") as file:
            file.write('path "secret/*" {\n  capabilities = ["read"]\n}\n')
        # A server each: what one side writes must not show up in the other's lists and versions.
        servers = [start(home), start(home)]
        try:
            kept = {"sidea": {}, "sideb": {}}
            for line in LINES:
                theirs = run(BAO, "sidea", line, home, kept["sidea"], servers[0][1])
                ours = run(US, "sideb", line, home, kept["sideb"], servers[1][1])
                for what in ("exit", "stdout", "stderr"):
                    if theirs[what] != ours[what]:
                        different += 1
                        print(f"--- {line}: {what}\n<<< official\n{theirs[what]}\n>>> ours\n{ours[what]}")
        finally:
            for server, _ in servers:
                server.terminate()
                server.wait()
    print(f"{len(LINES)} command lines, {different} differences")
    sys.exit(1 if different else 0)


main()
