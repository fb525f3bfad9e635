"""Every method of hvac's API modules that the engines of a node cover, once with success and once with a refusal.

BAO_ADDR is a dev server with the root token `root`, BAO_FRESH one that is not initialised. Each call is printed as one
JSON line: {"step", "status", "result"}. The status is what hvac made of the answer: that of the response, 200 or 204
where it hands out a value or nothing, or the one its exception stands for.
"""

import json
import os
import time

import hvac
from hvac import exceptions

STATUS = {
    exceptions.InvalidRequest: 400,
    exceptions.Unauthorized: 401,
    exceptions.Forbidden: 403,
    exceptions.InvalidPath: 404,
    exceptions.UnsupportedOperation: 405,
    exceptions.PreconditionFailed: 412,
    exceptions.RateLimitExceeded: 429,
    exceptions.InternalServerError: 500,
    exceptions.VaultNotInitialized: 501,
    exceptions.BadGateway: 502,
    exceptions.VaultDown: 503,
}


def ordered(body):
    """Lists that stand in the order of random ids, in an order of their own."""
    data = body.get("data") if isinstance(body, dict) else None
    for part in [data, *at(data, "key_info", otherwise={}).values()]:
        # Of a namespace: random and short.
        if isinstance(part, dict) and "tainted" in part:
            part["id"] = "<namespace>"
    if isinstance(data, dict) and isinstance(data.get("keys"), list):
        data["keys"].sort()
        if isinstance(data.get("key_info"), dict):
            data["key_info"] = sorted(data["key_info"].values(), key=lambda info: json.dumps(info, sort_keys=True))
    return body


def shown(result):
    """Status and value of what hvac handed out."""
    if result is None:
        return 204, None
    if not hasattr(result, "status_code"):
        return 200, ordered(result)
    try:
        return result.status_code, ordered(result.json())
    except ValueError:
        return result.status_code, f"{len(result.content) > 0} {result.headers.get('Content-Type')}"


def outcome(call, args, named):
    try:
        return shown(call(*args, **named))
    except exceptions.VaultError as error:
        body = {"raised": type(error).__name__, "errors": error.errors}
        return STATUS.get(type(error), 0), body


def ask(step, call, *args, **named):
    """Prints the outcome of one call; what it answered, or {}."""
    status, result = outcome(call, args, named)
    while status == 400 and "Upgrading" in json.dumps(result):
        time.sleep(0.02)
        status, result = outcome(call, args, named)
    print(json.dumps({"step": f"{AREA} {step}", "status": status, "result": result}), flush=True)
    return result if isinstance(result, dict) and "raised" not in result else {}


def at(value, *path, otherwise="none"):
    """What stands there, or a text that is nothing of the server's."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value or otherwise


def kv1(client):
    kv = client.secrets.kv.v1
    ask("enable", client.sys.enable_secrets_engine, "kv", path="one", options={"version": "1"})
    ask("create", kv.create_or_update_secret, "a/b", {"n": 1, "text": "hello", "list": [1, None, {"k": True}]}, mount_point="one")
    ask("create with POST", kv.create_or_update_secret, "c", {"n": "1"}, method="POST", mount_point="one")
    ask("update with PUT", kv.create_or_update_secret, "c", {"n": "2"}, method="PUT", mount_point="one")
    ask("create nothing", kv.create_or_update_secret, "d", {}, mount_point="one")
    ask("read", kv.read_secret, "a/b", mount_point="one")
    ask("read none", kv.read_secret, "none", mount_point="one")
    ask("read of no mount", kv.read_secret, "none", mount_point="nowhere")
    ask("list", kv.list_secrets, "", mount_point="one")
    ask("list below", kv.list_secrets, "a", mount_point="one")
    ask("list none", kv.list_secrets, "none", mount_point="one")
    ask("delete", kv.delete_secret, "a/b", mount_point="one")
    ask("delete again", kv.delete_secret, "a/b", mount_point="one")
    ask("odd names", kv.create_or_update_secret, "ü/%41 b", {"n": "é"}, mount_point="one")
    ask("list odd names", kv.list_secrets, "ü", mount_point="one")
    ask("read", client.read, "one/c")
    ask("read none", client.read, "one/none")
    ask("write_data", client.write_data, "one/e", data={"a": "b"})
    ask("write wrapped", client.read, "one/c", wrap_ttl="60s")
    ask("list", client.list, "one")
    ask("list none", client.list, "one/none")
    ask("delete", client.delete, "one/e")


def kv2(client):
    kv = client.secrets.kv.v2
    ask("enable", client.sys.enable_secrets_engine, "kv", path="two", options={"version": "2"})
    ask("read configuration", kv.read_configuration, mount_point="two")
    ask("configure", kv.configure, max_versions=5, cas_required=False, delete_version_after="3h", mount_point="two")
    ask("read configuration", kv.read_configuration, mount_point="two")
    ask("create", kv.create_or_update_secret, "a", {"n": 1}, cas=0, mount_point="two")
    ask("create with wrong cas", kv.create_or_update_secret, "a", {"n": 1}, cas=0, mount_point="two")
    ask("update", kv.create_or_update_secret, "a", {"n": 2}, mount_point="two")
    ask("read_secret", kv.read_secret, "a", mount_point="two", raise_on_deleted_version=True)
    for version in [None, 1, 9]:
        ask(f"read version {version}", kv.read_secret_version, "a", version=version, mount_point="two", raise_on_deleted_version=True)
    ask("read none", kv.read_secret_version, "none", mount_point="two", raise_on_deleted_version=True)
    ask("patch", kv.patch, "a", {"more": {"deep": True}}, mount_point="two")
    ask("patch none", kv.patch, "none", {"more": "yes"}, mount_point="two")
    ask("delete latest", kv.delete_latest_version_of_secret, "a", mount_point="two")
    ask("read deleted", kv.read_secret_version, "a", mount_point="two", raise_on_deleted_version=False)
    ask("read deleted strictly", kv.read_secret_version, "a", mount_point="two", raise_on_deleted_version=True)
    ask("undelete", kv.undelete_secret_versions, "a", [3], mount_point="two")
    ask("delete versions", kv.delete_secret_versions, "a", [1, 2], mount_point="two")
    ask("destroy versions", kv.destroy_secret_versions, "a", [1], mount_point="two")
    ask("list", kv.list_secrets, "", mount_point="two")
    ask("list none", kv.list_secrets, "none", mount_point="two")
    ask("read metadata", kv.read_secret_metadata, "a", mount_point="two")
    ask("update metadata", kv.update_metadata, "a", max_versions=3, cas_required=True, delete_version_after="1h", custom_metadata={"owner": "ann"}, mount_point="two")
    ask("read metadata", kv.read_secret_metadata, "a", mount_point="two")
    ask("update without cas", kv.create_or_update_secret, "a", {"n": 3}, mount_point="two")
    ask("delete metadata", kv.delete_metadata_and_all_versions, "a", mount_point="two")
    ask("read metadata of none", kv.read_secret_metadata, "a", mount_point="two")


def cubbyhole(client):
    ask("write", client.write_data, "cubbyhole/a", data={"n": 1})
    ask("read", client.read, "cubbyhole/a")
    ask("list", client.list, "cubbyhole")
    ask("delete", client.delete, "cubbyhole/a")
    ask("read none", client.read, "cubbyhole/a")
    ask("list none", client.list, "cubbyhole")


def transit(client):
    engine = client.secrets.transit
    ask("enable", client.sys.enable_secrets_engine, "transit")
    kinds = ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "ed25519", "ecdsa-p256", "rsa-2048"]
    for kind in kinds:
        ask(f"create {kind}", engine.create_key, kind, key_type=kind, exportable=True, allow_plaintext_backup=True)
        ask(f"read {kind}", engine.read_key, kind)
    ask("create derived", engine.create_key, "derived", derived=True, convergent_encryption=True)
    ask("create unknown type", engine.create_key, "x", key_type="nosuch")
    ask("create rotated", engine.create_key, "rotated", auto_rotate_period="24h")
    ask("read none", engine.read_key, "none")
    ask("list", engine.list_keys)
    ask("rotate", engine.rotate_key, "aes256-gcm96")
    ask("rotate none", engine.rotate_key, "none")
    ask("configure", engine.update_key_configuration, "aes256-gcm96", min_decryption_version=1, min_encryption_version=2, deletion_allowed=True)
    ask("configure wrong", engine.update_key_configuration, "aes256-gcm96", min_decryption_version=9)
    for kind in ["encryption-key", "signing-key", "hmac-key", "nosuch-key"]:
        ask(f"export {kind}", engine.export_key, "ed25519", key_type=kind)
    ask("export a version", engine.export_key, "aes256-gcm96", key_type="encryption-key", version=1)
    ask("export of none", engine.export_key, "none", key_type="encryption-key")
    for kind in kinds:
        sealed = ask(f"encrypt {kind}", engine.encrypt_data, kind, plaintext="aGVsbG8=")
        ask(f"decrypt {kind}", engine.decrypt_data, kind, ciphertext=at(sealed, "data", "ciphertext"))
    sealed = ask("encrypt with old version", engine.encrypt_data, "aes256-gcm96", plaintext="aGVsbG8=", key_version=1)
    sealed = ask("encrypt with data", engine.encrypt_data, "aes256-gcm96", plaintext="aGVsbG8=", associated_data="YWQ=")
    ask("decrypt with data", engine.decrypt_data, "aes256-gcm96", ciphertext=at(sealed, "data", "ciphertext"), associated_data="YWQ=")
    ask("decrypt without data", engine.decrypt_data, "aes256-gcm96", ciphertext=at(sealed, "data", "ciphertext"))
    ask("encrypt without context", engine.encrypt_data, "derived", plaintext="aGVsbG8=")
    ask("encrypt with context", engine.encrypt_data, "derived", plaintext="aGVsbG8=", context="Y3R4")
    ask("encrypt what is no base64", engine.encrypt_data, "aes256-gcm96", plaintext="!")
    ask("encrypt a batch", engine.encrypt_data, "aes256-gcm96", batch_input=[{"plaintext": "YQ=="}, {"plaintext": "Yg=="}])
    ask("encrypt a batch with faults", engine.encrypt_data, "aes256-gcm96", batch_input=[{"plaintext": "YQ=="}, {"plaintext": "!"}])
    sealed = ask("encrypt", engine.encrypt_data, "aes256-gcm96", plaintext="aGVsbG8=")
    ask("rewrap", engine.rewrap_data, "aes256-gcm96", at(sealed, "data", "ciphertext"))
    ask("rewrap wrong", engine.rewrap_data, "aes256-gcm96", "vault:v1:bm9wZQ==")
    for kind in ["plaintext", "wrapped", "nosuch"]:
        ask(f"data key {kind}", engine.generate_data_key, "aes256-gcm96", key_type=kind)
    ask("data key of 512 bits", engine.generate_data_key, "aes256-gcm96", key_type="plaintext", bits=512)
    ask("random bytes", engine.generate_random_bytes, n_bytes=16)
    ask("random bytes in hex", engine.generate_random_bytes, n_bytes=16, output_format="hex")
    for algorithm in ["sha2-224", "sha2-256", "sha2-384", "sha2-512", "nosuch"]:
        ask(f"hash {algorithm}", engine.hash_data, "aGVsbG8=", algorithm=algorithm)
    made = ask("hmac", engine.generate_hmac, "aes256-gcm96", "aGVsbG8=", algorithm="sha2-512")
    ask("verify hmac", engine.verify_signed_data, "aes256-gcm96", "aGVsbG8=", hmac=at(made, "data", "hmac"), hash_algorithm="sha2-512")
    for kind in ["ed25519", "ecdsa-p256", "rsa-2048", "aes256-gcm96", "none"]:
        signed = ask(f"sign {kind}", engine.sign_data, kind, hash_input="aGVsbG8=", hash_algorithm="sha2-256", signature_algorithm="pss")
        signature = at(signed, "data", "signature")
        ask(f"verify {kind}", engine.verify_signed_data, kind, "aGVsbG8=", signature=signature, hash_algorithm="sha2-256", signature_algorithm="pss")
        ask(f"verify other {kind}", engine.verify_signed_data, kind, "b3RoZXI=", signature=signature, hash_algorithm="sha2-256", signature_algorithm="pss")
    ask("sign with jws", engine.sign_data, "ecdsa-p256", hash_input="aGVsbG8=", marshaling_algorithm="jws")
    kept = ask("backup", engine.backup_key, "aes128-gcm96")
    ask("restore", engine.restore_key, at(kept, "data", "backup"), name="restored")
    ask("restore again", engine.restore_key, at(kept, "data", "backup"), name="restored")
    ask("restore by force", engine.restore_key, at(kept, "data", "backup"), name="restored", force=True)
    ask("trim", engine.trim_key, "aes256-gcm96", 2)
    ask("configure", engine.update_key_configuration, "aes256-gcm96", min_decryption_version=2)
    ask("trim", engine.trim_key, "aes256-gcm96", 2)
    ask("delete", engine.delete_key, "aes256-gcm96")
    ask("delete what may not be", engine.delete_key, "ed25519")


def identity(client):
    engine = client.secrets.identity
    made = ask("create entity", engine.create_or_update_entity, "ann", metadata={"k": "v"}, policies=["p"])
    ann = at(made, "data", "id")
    ask("create entity by name", engine.create_or_update_entity_by_name, "bob", metadata={"k": "v"})
    ask("read entity", engine.read_entity, ann)
    ask("read entity by name", engine.read_entity_by_name, "ann")
    ask("read entity of none", engine.read_entity, "none")
    ask("update entity", engine.update_entity, ann, name="ann", metadata={"k": "w"}, disabled=False)
    ask("list entities", engine.list_entities)
    ask("list entities by name", engine.list_entities_by_name)
    accessor = at(client.sys.list_auth_methods(), "data", "token/", "accessor")
    alias = at(ask("create alias", engine.create_or_update_entity_alias, "ann@x", ann, accessor), "data", "id")
    ask("create alias of no mount", engine.create_or_update_entity_alias, "ann@y", ann, "none")
    ask("read alias", engine.read_entity_alias, alias)
    ask("update alias", engine.update_entity_alias, alias, "ann@z", ann, accessor)
    ask("list aliases", engine.list_entity_aliases)
    bob = at(engine.read_entity_by_name("bob"), "data", "id")
    ask("merge", engine.merge_entities, [bob], ann)
    ask("merge of none", engine.merge_entities, ["none"], ann)
    ask("lookup by name", engine.lookup_entity, name="ann")
    ask("lookup by id", engine.lookup_entity, entity_id=ann)
    ask("lookup by alias id", engine.lookup_entity, alias_id=alias)
    ask("lookup by alias name", engine.lookup_entity, alias_name="ann@z", alias_mount_accessor=accessor)
    ask("lookup of none", engine.lookup_entity, name="none")
    group = at(ask("create group", engine.create_or_update_group, "g", metadata={"a": "b"}, policies=["p"], member_entity_ids=[ann]), "data", "id")
    ask("create group by name", engine.create_or_update_group_by_name, "h", policies=["q"], member_group_ids=[group])
    outside = at(ask("create external group", engine.create_or_update_group, "ext", group_type="external"), "data", "id")
    ask("read group", engine.read_group, group)
    ask("read group by name", engine.read_group_by_name, "h")
    ask("read group of none", engine.read_group, "none")
    ask("update group", engine.update_group, group, "g", metadata={"a": "c"}, policies=["p", "q"])
    ask("list groups", engine.list_groups)
    ask("list groups by name", engine.list_groups_by_name)
    held = at(ask("create group alias", engine.create_or_update_group_alias, "team", mount_accessor=accessor, canonical_id=outside), "data", "id")
    ask("create group alias of an internal one", engine.create_or_update_group_alias, "team2", mount_accessor=accessor, canonical_id=group)
    ask("read group alias", engine.read_group_alias, held)
    ask("update group alias", engine.update_group_alias, held, "crew", mount_accessor=accessor, canonical_id=outside)
    ask("list group aliases", engine.list_group_aliases)
    ask("lookup group", engine.lookup_group, name="g")
    ask("lookup group by alias", engine.lookup_group, alias_id=held)
    ask("lookup group of none", engine.lookup_group, name="none")
    ask("delete group alias", engine.delete_group_alias, held)
    ask("delete group", engine.delete_group, group)
    ask("delete group by name", engine.delete_group_by_name, "h")
    ask("delete alias", engine.delete_entity_alias, alias)
    ask("delete entity", engine.delete_entity, ann)
    ask("delete entity by name", engine.delete_entity_by_name, "none")


def approle(client):
    roles = client.auth.approle
    ask("enable", client.sys.enable_auth_method, "approle")
    ask("create", roles.create_or_update_approle, "r", token_policies=["p"], token_ttl="20m", token_max_ttl="1h", secret_id_num_uses=5, secret_id_ttl="30m", token_num_uses=7)
    ask("create with wrong type", roles.create_or_update_approle, "s", token_type="nosuch")
    ask("read", roles.read_role, "r")
    ask("read none", roles.read_role, "none")
    ask("list", roles.list_roles)
    ask("read role id", roles.read_role_id, "r")
    ask("update role id", roles.update_role_id, "r", "chosen-role-id")
    ask("read role id", roles.read_role_id, "r")
    made = ask("secret id", roles.generate_secret_id, "r", metadata={"k": "v"}, cidr_list=["127.0.0.0/8"])
    secret, accessor = at(made, "data", "secret_id"), at(made, "data", "secret_id_accessor")
    ask("secret id of none", roles.generate_secret_id, "none")
    ask("secret id, wrapped", roles.generate_secret_id, "r", wrap_ttl="60s")
    ask("custom secret id", roles.create_custom_secret_id, "r", "chosen-secret-id", metadata={"k": "w"})
    ask("read secret id", roles.read_secret_id, "r", secret)
    ask("read secret id of none", roles.read_secret_id, "r", "none")
    ask("read accessor", roles.read_secret_id_accessor, "r", accessor)
    ask("read accessor of none", roles.read_secret_id_accessor, "r", "none")
    ask("list accessors", roles.list_secret_id_accessors, "r")
    own = hvac.Client(url=client.url)
    ask("login", own.auth.approle.login, "chosen-role-id", "chosen-secret-id")
    ask("token of the login", own.lookup_token)
    ask("login wrong", hvac.Client(url=client.url).auth.approle.login, "chosen-role-id", "wrong")
    ask("login without", hvac.Client(url=client.url).auth.approle.login, "chosen-role-id")
    ask("destroy secret id", roles.destroy_secret_id, "r", secret)
    ask("destroy accessor", roles.destroy_secret_id_accessor, "r", accessor)
    ask("delete", roles.delete_role, "r")
    ask("list none", roles.list_roles)


def userpass(client):
    users = client.auth.userpass
    ask("enable", client.sys.enable_auth_method, "userpass")
    ask("create", users.create_or_update_user, "ann", "word", policies=["p"])
    ask("create without password", users.create_or_update_user, "bob", policies=["p"])
    ask("read", users.read_user, "ann")
    ask("read none", users.read_user, "none")
    ask("list", users.list_user)
    own = hvac.Client(url=client.url)
    ask("login", own.auth.userpass.login, "ann", "word")
    ask("token of the login", own.lookup_token)
    ask("update password", users.update_password_on_user, "ann", "other")
    ask("login with the old", hvac.Client(url=client.url).auth.userpass.login, "ann", "word")
    ask("login of none", hvac.Client(url=client.url).auth.userpass.login, "none", "word")
    ask("delete", users.delete_user, "ann")
    ask("list none", users.list_user)


def token(client):
    tokens = client.auth.token
    made = ask("create", tokens.create, policies=["p"], ttl="1h", meta={"k": "v"}, display_name="dora", num_uses=20, explicit_max_ttl="2h")
    text, accessor = at(made, "auth", "client_token"), at(made, "auth", "accessor")
    ask("create with id", tokens.create, id="chosen.id", policies=["p"], ttl="1h")
    ask("create batch", tokens.create, type="batch", policies=["p"], ttl="20m")
    ask("create wrapped", tokens.create, policies=["p"], ttl="20m", wrap_ttl="60s")
    ask("create periodic", tokens.create, policies=["p"], period="1h", no_parent=True, no_default_policy=True)
    ask("create wrong", tokens.create, policies=["p"], ttl="x")
    ask("create orphan", tokens.create_orphan, policies=["p"], ttl="1h")
    ask("create with role of none", tokens.create, role_name="none")
    ask("create role", tokens.create_or_update_role, "r", allowed_policies=["p"], orphan=True, renewable=True, token_period="1h")
    ask("read role", tokens.read_role, "r")
    ask("read role of none", tokens.read_role, "none")
    ask("list roles", tokens.list_roles)
    ask("create with role", tokens.create, role_name="r", policies=["p"])
    ask("create with role, denied", tokens.create, role_name="r", policies=["q"])
    ask("delete role", tokens.delete_role, "r")
    ask("list roles of none", tokens.list_roles)
    ask("lookup", tokens.lookup, text)
    ask("lookup self", tokens.lookup_self)
    ask("lookup accessor", tokens.lookup_accessor, accessor)
    ask("lookup none", tokens.lookup, "none")
    ask("lookup accessor of none", tokens.lookup_accessor, "none")
    ask("renew", tokens.renew, text, increment="30m")
    ask("renew accessor", tokens.renew_accessor, accessor)
    ask("renew self", tokens.renew_self)
    ask("renew none", tokens.renew, "none")
    own = hvac.Client(url=client.url, token=text)
    ask("own lookup", own.auth.token.lookup_self)
    ask("own renew", own.auth.token.renew_self, increment="10m")
    ask("own denied", own.sys.list_policies)
    ask("own child denied", own.auth.token.create)
    ask("own revoke", own.auth.token.revoke_self)
    ask("own after", own.auth.token.lookup_self)
    for name in ["revoke", "revoke_and_orphan_children"]:
        made = ask("create another", tokens.create, policies=["p"], ttl="1h")
        ask(name, getattr(tokens, name), at(made, "auth", "client_token"))
    ask("revoke accessor", tokens.revoke_accessor, at(ask("create another", tokens.create, ttl="1h"), "auth", "accessor"))
    ask("revoke accessor of none", tokens.revoke_accessor, "none")
    ask("tidy", tokens.tidy)


def policies(client):
    sys = client.sys
    ask("create", sys.create_or_update_policy, "p", 'path "one/*" { capabilities = ["read"] }')
    ask("create from a map", sys.create_or_update_policy, "q", {"path": {"one/*": {"capabilities": ["list"]}}}, pretty_print=False)
    ask("create wrong", sys.create_or_update_policy, "w", 'path "x" { capabilities = ["nonsense"] }')
    ask("read", sys.read_policy, "p")
    ask("read none", sys.read_policy, "none")
    ask("list", sys.list_policies)
    ask("delete", sys.delete_policy, "q")
    ask("delete root", sys.delete_policy, "root")
    ask("create acl", sys.create_or_update_acl_policy, "acl", 'path "one/*" { capabilities = ["read"] }')
    ask("read acl", sys.read_acl_policy, "acl")
    ask("read acl of none", sys.read_acl_policy, "none")
    ask("list acl", sys.list_acl_policies)
    ask("delete acl", sys.delete_acl_policy, "acl")
    ask("list rgp", sys.list_rgp_policies)
    ask("read rgp", sys.read_rgp_policy, "none")
    ask("list egp", sys.list_egp_policies)
    ask("capabilities", sys.get_capabilities, ["one/x", "sys/mounts"])
    made = client.auth.token.create(policies=["p"], ttl="1h")["auth"]
    ask("capabilities of a token", sys.get_capabilities, ["one/x", "sys/mounts"], token=made["client_token"])
    ask("capabilities of an accessor", sys.get_capabilities, ["one/x"], accessor=made["accessor"])
    ask("capabilities of none", sys.get_capabilities, ["one/x"], token="none")


def mounts(client):
    sys = client.sys
    ask("list", sys.list_mounted_secrets_engines)
    ask("enable", sys.enable_secrets_engine, "kv", path="m", description="d", config={"default_lease_ttl": "1h"}, options={"version": "1"})
    ask("enable again", sys.enable_secrets_engine, "kv", path="m")
    ask("enable unknown", sys.enable_secrets_engine, "nosuch")
    ask("read", sys.read_mount_configuration, "m")
    ask("read none", sys.read_mount_configuration, "none")
    ask("tune", sys.tune_mount_configuration, "m", default_lease_ttl="2h", max_lease_ttl="3h", description="e", listing_visibility="unauth")
    ask("tune wrong", sys.tune_mount_configuration, "m", default_lease_ttl="9h", max_lease_ttl="3h")
    ask("option", sys.retrieve_mount_option, "m", "version")
    ask("option of none", sys.retrieve_mount_option, "m", "none", default_value="?")
    ask("move", sys.move_backend, "m", "n")
    ask("move none", sys.move_backend, "none", "x")
    ask("disable", sys.disable_secrets_engine, "n")
    ask("disable again", sys.disable_secrets_engine, "n")


def methods(client):
    sys = client.sys
    ask("list", sys.list_auth_methods)
    ask("enable", sys.enable_auth_method, "userpass", path="up", description="d", config={"max_lease_ttl": "3h"})
    ask("enable again", sys.enable_auth_method, "userpass", path="up")
    ask("enable unknown", sys.enable_auth_method, "nosuch")
    ask("read", sys.read_auth_method_tuning, "up")
    ask("tune", sys.tune_auth_method, "up", default_lease_ttl="1h", description="e")
    ask("read", sys.read_auth_method_tuning, "up")
    ask("read none", sys.read_auth_method_tuning, "none")
    ask("disable", sys.disable_auth_method, "up")
    ask("disable again", sys.disable_auth_method, "up")


def system(client):
    sys = client.sys
    ask("health", sys.read_health_status, method="GET")
    ask("health by HEAD", sys.read_health_status, method="HEAD")
    ask("health with codes", sys.read_health_status, method="GET", active_code=299)
    ask("init status", sys.read_init_status)
    ask("is initialized", sys.is_initialized)
    ask("initialize again", sys.initialize, secret_shares=1, secret_threshold=1)
    ask("leader", sys.read_leader_status)
    ask("step down", sys.step_down)
    ask("is sealed", sys.is_sealed)
    ask("seal status", sys.read_seal_status)
    ask("audit devices", sys.list_enabled_audit_devices)
    ask("enable audit", sys.enable_audit_device, "file", options={"file_path": "/tmp/none"})
    ask("hash of none", sys.calculate_hash, "none", "text")
    ask("disable audit", sys.disable_audit_device, "none")
    ask("lease of none", sys.read_lease, "none")
    ask("leases", sys.list_leases, "auth/userpass/login/")
    ask("leases of none", sys.list_leases, "none/")
    ask("renew lease", sys.renew_lease, "none")
    ask("revoke lease", sys.revoke_lease, "none")
    ask("revoke prefix", sys.revoke_prefix, "none")
    ask("revoke force", sys.revoke_force, "none")
    ask("quotas of none", sys.list_quotas)
    ask("create quota", sys.create_or_update_quota, "q", 100.5, path="one/", interval="2s", block_interval="10s")
    ask("create quota wrong", sys.create_or_update_quota, "w", -1)
    ask("read quota", sys.read_quota, "q")
    ask("read quota of none", sys.read_quota, "none")
    ask("quotas", sys.list_quotas)
    ask("delete quota", sys.delete_quota, "q")
    wrapped = ask("wrap", sys.wrap, payload={"a": "b"}, ttl=60)
    ask("unwrap", sys.unwrap, token=at(wrapped, "wrap_info", "token"))
    ask("unwrap again", sys.unwrap, token=at(wrapped, "wrap_info", "token"))
    ask("unwrap none", sys.unwrap, token="none")
    ask("create namespace", sys.create_namespace, "team")
    ask("list namespaces", sys.list_namespaces)
    ask("delete namespace", sys.delete_namespace, "team")
    ask("raft configuration", sys.read_raft_config)
    ask("raft snapshot", sys.take_raft_snapshot)
    ask("raft join", sys.join_raft_cluster, "http://127.0.0.1:1")
    ask("raft remove", sys.remove_raft_node, "none")
    ask("raft restore", sys.restore_raft_snapshot, b"nothing")
    ask("raft restore by force", sys.force_restore_raft_snapshot, b"nothing")


def denied(client):
    nobody, wrong = hvac.Client(url=client.url), hvac.Client(url=client.url, token="bogus")
    nobody.token = None
    for name, own in [("nobody", nobody), ("bogus", wrong)]:
        ask(f"{name} read", own.secrets.kv.v1.read_secret, "c", mount_point="one")
        ask(f"{name} mounts", own.sys.list_mounted_secrets_engines)
        ask(f"{name} lookup", own.auth.token.lookup_self)
        ask(f"{name} authenticated", own.is_authenticated)
        ask(f"{name} health", own.sys.read_health_status, method="GET")
        ask(f"{name} wrap", own.sys.wrap, payload={"a": "b"})


def ceremonies(client):
    sys = client.sys
    ask("is initialized", sys.is_initialized)
    ask("health", sys.read_health_status, method="GET")
    ask("seal status", sys.read_seal_status)
    ask("mounts", sys.list_mounted_secrets_engines)
    ask("initialize wrong", sys.initialize, secret_shares=2, secret_threshold=3)
    made = ask("initialize", sys.initialize, secret_shares=3, secret_threshold=2)
    keys, client.token = made["keys"], made["root_token"]
    ask("unseal wrong", sys.submit_unseal_key, "zz")
    ask("unseal", sys.submit_unseal_key, keys[0])
    ask("reset", sys.submit_unseal_key, reset=True)
    ask("unseal all", sys.submit_unseal_keys, keys[:2])
    ask("is sealed", sys.is_sealed)
    ask("key status", sys.get_encryption_key_status)
    ask("rotate", sys.rotate_encryption_key)
    ask("key status", sys.get_encryption_key_status)
    ask("root generation", sys.read_root_generation_progress)
    ask("start root generation wrong", sys.start_root_token_generation, otp="short")
    started = ask("start root generation", sys.start_root_token_generation)
    ask("generate root", sys.generate_root, keys[0], at(started, "nonce"))
    ask("generate root wrong", sys.generate_root, keys[1], "none")
    ask("generate root", sys.generate_root, keys[1], at(started, "nonce"))
    ask("cancel root generation", sys.cancel_root_generation)
    ask("rekey progress", sys.read_rekey_progress)
    ask("start rekey wrong", sys.start_rekey, secret_shares=2, secret_threshold=3)
    ask("start rekey", sys.start_rekey, secret_shares=2, secret_threshold=2)
    ask("start rekey again", sys.start_rekey, secret_shares=2, secret_threshold=2)
    ask("cancel rekey", sys.cancel_rekey)
    started = ask("start rekey", sys.start_rekey, secret_shares=2, secret_threshold=2)
    ask("rekey wrong", sys.rekey, keys[0], nonce="none")
    ask("rekey", sys.rekey_multi, keys[:2], nonce=at(started, "nonce"))
    ask("rekey progress", sys.read_rekey_progress)
    ask("rekey verify progress", sys.read_rekey_verify_progress)
    ask("cancel rekey verify", sys.cancel_rekey_verify)
    ask("backup keys", sys.read_backup_keys)
    ask("seal", sys.seal)
    ask("is sealed", sys.is_sealed)
    ask("mounts of a sealed one", sys.list_mounted_secrets_engines)


dev = hvac.Client(url=os.environ["BAO_ADDR"], token="root")
AREAS = [policies, kv1, kv2, cubbyhole, transit, identity, approle, userpass, token, mounts, methods, system, denied]
for area in AREAS:
    AREA = area.__name__
    area(dev)
AREA = "ceremonies"
ceremonies(hvac.Client(url=os.environ["BAO_FRESH"]))
