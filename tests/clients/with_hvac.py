"""The hvac client, unchanged, through one address. BAO_ADDR and BAO_TOKEN say where; every check reads what was just written."""

import os
import secrets
import sys
import time

import hvac
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest

ADDRESS = os.environ["BAO_ADDR"]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
TAG = secrets.token_hex(3)
checks = 0


def check(holds, what):
    global checks
    checks += 1
    if not holds:
        sys.exit(f"FAILED: {what}")


def refused(error, call, what):
    try:
        call()
    except error:
        return check(True, what)
    return check(False, what)


def upgraded(call):
    """A new version-2 mount says "Upgrading" for a moment, with or without a proxy."""
    for _ in range(200):
        try:
            return call()
        except InvalidRequest as error:
            if "Upgrading" not in str(error):
                raise
            time.sleep(0.05)
    return call()


def kv1(client):
    mount = f"kv1-{TAG}"
    client.sys.enable_secrets_engine("kv", path=mount, options={"version": "1"})
    kv = client.secrets.kv.v1
    for n in range(ROUNDS):
        kv.create_or_update_secret(f"a/{n}", {"n": n}, mount_point=mount)
        check(kv.read_secret(f"a/{n}", mount_point=mount)["data"] == {"n": n}, "kv1: read after write")
        check(f"{n}" in kv.list_secrets("a", mount_point=mount)["data"]["keys"], "kv1: list after write")
    kv.delete_secret("a/0", mount_point=mount)
    refused(InvalidPath, lambda: kv.read_secret("a/0", mount_point=mount), "kv1: gone after delete")
    client.sys.disable_secrets_engine(mount)
    check(f"{mount}/" not in client.sys.list_mounted_secrets_engines()["data"], "kv1: unmounted")


def kv2(client):
    mount = f"kv2-{TAG}"
    client.sys.enable_secrets_engine("kv", path=mount, options={"version": "2"})
    kv = client.secrets.kv.v2
    upgraded(lambda: kv.read_configuration(mount_point=mount))
    kv.configure(max_versions=20, mount_point=mount)
    check(kv.read_configuration(mount_point=mount)["data"]["max_versions"] == 20, "kv2: configuration")
    for n in range(1, ROUNDS + 1):
        kv.create_or_update_secret("s", {"n": n}, cas=n - 1, mount_point=mount)
        got = kv.read_secret_version("s", mount_point=mount, raise_on_deleted_version=True)["data"]
        check(got["data"]["n"] == n and got["metadata"]["version"] == n, "kv2: newest version")
    refused(InvalidRequest, lambda: kv.create_or_update_secret("s", {}, cas=1, mount_point=mount), "kv2: CAS refused")
    kv.patch("s", {"more": "yes"}, mount_point=mount)
    got = kv.read_secret_version("s", mount_point=mount, raise_on_deleted_version=True)["data"]["data"]
    check(got == {"n": ROUNDS, "more": "yes"}, "kv2: patched")
    kv.delete_latest_version_of_secret("s", mount_point=mount)
    read = lambda: kv.read_secret_version("s", mount_point=mount, raise_on_deleted_version=True)
    refused(InvalidPath, read, "kv2: gone after delete")
    kv.undelete_secret_versions("s", [ROUNDS + 1], mount_point=mount)
    check(read()["data"]["data"]["more"] == "yes", "kv2: back after undelete")
    kv.destroy_secret_versions("s", [1], mount_point=mount)
    check(kv.read_secret_metadata("s", mount_point=mount)["data"]["versions"]["1"]["destroyed"], "kv2: destroyed")
    kv.delete_metadata_and_all_versions("s", mount_point=mount)
    refused(InvalidPath, lambda: kv.read_secret_metadata("s", mount_point=mount), "kv2: metadata gone")


def transit(client):
    mount = f"transit-{TAG}"
    client.sys.enable_secrets_engine("transit", path=mount)
    engine = client.secrets.transit
    for n in range(ROUNDS):
        name = f"k{n}"
        engine.create_key(name, mount_point=mount)
        sealed = engine.encrypt_data(name, "aGVsbG8=", mount_point=mount)["data"]["ciphertext"]
        opened = engine.decrypt_data(name, sealed, mount_point=mount)["data"]["plaintext"]
        check(opened == "aGVsbG8=", "transit: decrypts with the key just made")
    engine.rotate_key("k0", mount_point=mount)
    check(engine.read_key("k0", mount_point=mount)["data"]["latest_version"] == 2, "transit: rotated")
    sealed = engine.encrypt_data("k0", "aGVsbG8=", mount_point=mount)["data"]["ciphertext"]
    check(sealed.startswith("vault:v2:"), "transit: encrypts with the new version")
    engine.create_key("signer", key_type="ed25519", mount_point=mount)
    signature = engine.sign_data("signer", "aGVsbG8=", mount_point=mount)["data"]["signature"]
    valid = engine.verify_signed_data("signer", "aGVsbG8=", signature=signature, mount_point=mount)["data"]["valid"]
    check(valid, "transit: verifies")
    engine.update_key_configuration("k0", deletion_allowed=True, mount_point=mount)
    engine.delete_key("k0", mount_point=mount)
    refused((InvalidPath, InvalidRequest), lambda: engine.read_key("k0", mount_point=mount), "transit: key gone")


def mounts(client):
    for n in range(ROUNDS):
        path = f"m{n}-{TAG}"
        client.sys.enable_secrets_engine("kv", path=path, options={"version": "1"})
        check(f"{path}/" in client.sys.list_mounted_secrets_engines()["data"], "mounts: listed")
        client.secrets.kv.v1.create_or_update_secret("x", {"v": "1"}, mount_point=path)
        client.sys.tune_mount_configuration(path, description=f"tuned {n}")
        tuned = client.sys.read_mount_configuration(path)["data"]["description"]
        check(tuned == f"tuned {n}", "mounts: tuned")
        client.sys.disable_secrets_engine(path)
        check(f"{path}/" not in client.sys.list_mounted_secrets_engines()["data"], "mounts: gone")


def policies(client):
    for n in range(ROUNDS):
        name = f"p{n}-{TAG}"
        text = f'path "secret/{n}/*" {{ capabilities = ["read"] }}'
        client.sys.create_or_update_policy(name, text)
        check(client.sys.read_policy(name)["data"]["rules"] == text, "policies: read back")
        check(name in client.sys.list_policies()["data"]["policies"], "policies: listed")
        client.sys.delete_policy(name)
        check(name not in client.sys.list_policies()["data"]["policies"], "policies: gone")


def tokens(client):
    client.sys.create_or_update_policy(f"t-{TAG}", 'path "sys/mounts" { capabilities = ["read"] }')
    for _ in range(ROUNDS):
        made = client.auth.token.create(policies=[f"t-{TAG}"], ttl="1h")["auth"]
        own = hvac.Client(url=ADDRESS, token=made["client_token"])
        check(own.is_authenticated(), "tokens: usable at once")
        check(own.sys.list_mounted_secrets_engines()["data"], "tokens: allowed")
        refused(Forbidden, own.sys.list_policies, "tokens: denied")
        client.auth.token.renew_accessor(made["accessor"])
        client.auth.token.revoke_accessor(made["accessor"])
        check(not own.is_authenticated(), "tokens: revoked at once")


def approle(client):
    mount = f"approle-{TAG}"
    client.sys.enable_auth_method("approle", path=mount)
    roles = client.auth.approle
    for n in range(ROUNDS):
        name = f"r{n}"
        roles.create_or_update_approle(name, token_policies=["default"], token_ttl="1h", mount_point=mount)
        role_id = roles.read_role_id(name, mount_point=mount)["data"]["role_id"]
        secret_id = roles.generate_secret_id(name, mount_point=mount)["data"]["secret_id"]
        own = hvac.Client(url=ADDRESS)
        own.auth.approle.login(role_id, secret_id, mount_point=mount)
        check(own.is_authenticated(), "approle: logged in")
        roles.destroy_secret_id(name, secret_id, mount_point=mount)
        again = hvac.Client(url=ADDRESS)
        login = lambda: again.auth.approle.login(role_id, secret_id, mount_point=mount)
        refused(InvalidRequest, login, "approle: destroyed secret id refused")
        roles.delete_role(name, mount_point=mount)
        refused(InvalidPath, lambda: roles.read_role(name, mount_point=mount), "approle: role gone")


def userpass(client):
    mount = f"userpass-{TAG}"
    client.sys.enable_auth_method("userpass", path=mount)
    users = client.auth.userpass
    for n in range(ROUNDS):
        users.create_or_update_user(f"u{n}", f"word{n}", policies=["default"], mount_point=mount)
        own = hvac.Client(url=ADDRESS)
        own.auth.userpass.login(f"u{n}", f"word{n}", mount_point=mount)
        check(own.lookup_token()["data"]["meta"]["username"] == f"u{n}", "userpass: logged in")
        users.update_password_on_user(f"u{n}", "other", mount_point=mount)
        stale = hvac.Client(url=ADDRESS)
        login = lambda: stale.auth.userpass.login(f"u{n}", f"word{n}", mount_point=mount)
        refused(InvalidRequest, login, "userpass: old password refused")
        users.delete_user(f"u{n}", mount_point=mount)
        check(f"u{n}" not in listed(users, mount), "userpass: user gone")


def listed(users, mount):
    try:
        return users.list_user(mount_point=mount)["data"]["keys"]
    except InvalidPath:
        return []


def identity(client):
    engine = client.secrets.identity
    for n in range(ROUNDS):
        name = f"e{n}-{TAG}"
        made = engine.create_or_update_entity(name, metadata={"n": str(n)})["data"]["id"]
        check(engine.read_entity(made)["data"]["name"] == name, "identity: entity")
        engine.update_entity(made, name=name, metadata={"n": "changed"})
        check(engine.read_entity_by_name(name)["data"]["metadata"]["n"] == "changed", "identity: changed")
        group = engine.create_or_update_group(f"g-{name}", member_entity_ids=[made])["data"]["id"]
        check(made in engine.read_group(group)["data"]["member_entity_ids"], "identity: group")
        check(engine.lookup_entity(entity_id=made)["data"]["name"] == name, "identity: lookup")
        engine.delete_group(group)
        engine.delete_entity(made)
        refused(InvalidPath, lambda: engine.read_entity(made), "identity: entity gone")


def wrapping(client):
    for n in range(ROUNDS):
        wrapped = client.sys.wrap({"n": str(n)}, ttl="60")["wrap_info"]["token"]
        check(client.sys.unwrap(wrapped)["data"] == {"n": str(n)}, "wrapping: unwrapped")
        refused(InvalidRequest, lambda: client.sys.unwrap(wrapped), "wrapping: only once")


client = hvac.Client(url=ADDRESS, token=os.environ["BAO_TOKEN"])
for area in [kv1, kv2, transit, mounts, policies, tokens, approle, userpass, identity, wrapping]:
    before = checks
    area(client)
    print(f"hvac {area.__name__}: {checks - before} checks hold", flush=True)
check(client.sys.is_initialized() and not client.sys.is_sealed(), "sys: initialised and unsealed")
print(f"hvac: {checks} checks hold")
