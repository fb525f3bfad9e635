//! The order of the steps: what is taken, refused and undone together.

use zeroize::Zeroizing;

use super::*;
use crate::api::operation::Operation as Asked;
use crate::barrier::Keyring;
use crate::core::invalidation::Invalidation;
use crate::core::mount::{MountEntry, Table};
use crate::core::router::{BackendFactory, LeaseBounds};
use crate::logical::{Backend, Client};
use crate::storage::inmem;
use serde_json::{Value, json};

/// Root may everything, others nothing: policies are not this test's matter.
#[derive(Debug)]
struct RootOnly;

impl Authorizer for RootOnly {
    fn decide(&self, _: &mut Transaction, entry: &TokenEntry, _: Question<'_>) -> Result<Verdict, Fault> {
        Ok(Verdict { allowed: entry.is_root(), sudo: entry.is_root(), ..Verdict::default() })
    }
}

#[derive(Debug)]
struct Methods;

impl BackendFactory for Methods {
    fn build(&self, table: Table, entry: &MountEntry) -> Option<Arc<dyn Backend>> {
        match table {
            Table::Auth => crate::auth::build(&entry.kind),
            Table::Secret => crate::engine::build(&entry.kind, &entry.options),
        }
    }
}

fn root() -> String {
    "s.root".to_owned()
}

async fn core() -> Arc<Core> {
    let barrier = Arc::new(Barrier::new(inmem::open()));
    barrier.open(Keyring::new([(1, &[7; 32])]));
    let (mounts, tokens) = (Arc::new(Mounts::new(LeaseBounds::default())), Arc::new(TokenStore::new()));
    mounts.set_factory(Arc::new(Methods));
    let expiration = Arc::new(crate::core::expiration::Expiration::new());
    let audit = Arc::<Broker>::default();
    let told = Invalidation::new(
        &barrier,
        Arc::clone(&mounts),
        Arc::clone(&tokens),
        expiration,
        vec![Arc::clone(&audit) as _],
    );
    barrier.storage().observe(Arc::new(told));
    let now = OffsetDateTime::UNIX_EPOCH;
    let mut tx = barrier.begin(Mode::ReadWrite).unwrap();
    mounts.install(&mut tx).unwrap();
    tokens.create_root(&mut tx, Some(Zeroizing::new(root())), now).unwrap();
    for kind in ["userpass", "approle"] {
        mounts
            .enable(&mut tx, Table::Auth, MountEntry::new(Table::Auth, &format!("{kind}/"), kind), now)
            .unwrap();
    }
    let transit = MountEntry::new(Table::Secret, "transit/", "transit");
    mounts.enable(&mut tx, Table::Secret, transit, now).unwrap();
    barrier.commit(tx).await.unwrap();
    let identity = Arc::new(Identity::new());
    barrier.storage().observe(Arc::clone(&identity) as _);
    Arc::new(Core {
        barrier,
        mounts,
        tokens,
        identity,
        quotas: Arc::default(),
        lockouts: Arc::default(),
        policies: Arc::new(RootOnly),
        audit,
        meters: Arc::default(),
        in_flight: Arc::default(),
        api_addr: String::new(),
    })
}

async fn ask(
    core: &Arc<Core>,
    token: Option<&str>,
    operation: Asked,
    path: &str,
    data: Value,
) -> (u16, Value) {
    let incoming = Incoming {
        id: "id".into(),
        operation,
        path: path.to_owned(),
        data: Arc::new(data.as_object().unwrap().clone()),
        body: bytes::Bytes::new(),
        upload: None,
        token: token.map(|token| Zeroizing::new(token.to_owned())),
        client: Client { address: Some([127, 0, 0, 1].into()), port: 1 },
        wrap: None,
        headers: http::HeaderMap::new(),
    };
    let answered = core.handle(incoming, OffsetDateTime::UNIX_EPOCH).await;
    (answered.status, serde_json::from_slice(&answered.body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_login_makes_a_token_that_works() {
    let (core, root) = (core().await, root());
    let user = json!({"password": "pw", "token_num_uses": 1});
    let (status, _) = ask(&core, Some(&root), Asked::Write, "auth/userpass/users/bob", user).await;
    assert_eq!(status, 204);
    let login = |password: &'static str| {
        let core = Arc::clone(&core);
        async move {
            ask(&core, None, Asked::Write, "auth/userpass/login/bob", json!({"password": password})).await
        }
    };
    assert_eq!(login("no").await, (400, json!({"errors": ["invalid username or password"]})));
    let (status, body) = login("pw").await;
    assert_eq!(
        (status, &body["auth"]["num_uses"], &body["auth"]["token_type"]),
        (200, &json!(1), &json!("service"))
    );
    let token = body["auth"]["client_token"].as_str().unwrap().to_owned();
    let denial = json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]});
    let path = "auth/userpass/users/bob";
    assert_eq!(ask(&core, Some(&token), Asked::Read, path, json!({})).await, (403, denial), "its only use");
    let none = json!({"errors": ["permission denied"]});
    assert_eq!(ask(&core, Some(&token), Asked::Read, path, json!({})).await, (403, none), "it is spent");
}

#[tokio::test]
async fn a_secret_id_is_spent_with_the_token_it_makes() {
    let (core, root) = (core().await, root());
    let admin = async |operation, path: &str, data| ask(&core, Some(&root), operation, path, data).await;
    let role = json!({"secret_id_num_uses": 1, "token_ttl": "1h", "role_id": "me"});
    assert_eq!(admin(Asked::Write, "auth/approle/role/r", role).await.0, 204);
    let (_, body) = admin(Asked::Write, "auth/approle/role/r/secret-id", json!({})).await;
    let login = json!({"role_id": "me", "secret_id": body["data"]["secret_id"]});
    let (status, body) = ask(&core, None, Asked::Write, "auth/approle/login", login.clone()).await;
    assert_eq!((status, &body["auth"]["lease_duration"]), (200, &json!(3600)));
    let (status, body) = ask(&core, None, Asked::Write, "auth/approle/login", login).await;
    assert_eq!((status, body), (400, json!({"errors": ["invalid role or secret ID"]})));
    assert_eq!(admin(Asked::List, "auth/approle/role/r/secret-id", json!({})).await.0, 404);
}

#[tokio::test]
async fn what_is_not_there_is_said_only_to_who_may_know() {
    let (core, root) = (core().await, root());
    for (token, path, status, error) in [
        (None, "nothing/x", 403, "permission denied"),
        (Some("s.bogus"), "nothing/x", 403, "permission denied"),
        (Some(root.as_str()), "nothing/x", 404, "no handler for route \"nothing/x\". route entry not found."),
        (Some(root.as_str()), "auth/userpass/zzz", 404, "1 error occurred:\n\t* unsupported path\n\n"),
    ] {
        let answer = ask(&core, token, Asked::Read, path, json!({})).await;
        assert_eq!(answer, (status, json!({"errors": [error]})), "{token:?} {path}");
    }
    core.barrier.seal();
    assert_eq!(ask(&core, Some(&root), Asked::Read, "nothing/x", json!({})).await.0, 503);
}

#[tokio::test]
async fn concurrent_logins_never_share_a_use() {
    let (core, root) = (core().await, root());
    let role = json!({"secret_id_num_uses": 5, "role_id": "me"});
    assert_eq!(ask(&core, Some(&root), Asked::Write, "auth/approle/role/r", role).await.0, 204);
    let (_, body) = ask(&core, Some(&root), Asked::Write, "auth/approle/role/r/secret-id", json!({})).await;
    let login = json!({"role_id": "me", "secret_id": body["data"]["secret_id"]});
    let tries = (0..12).map(|_| {
        let (core, login) = (Arc::clone(&core), login.clone());
        tokio::spawn(async move { ask(&core, None, Asked::Write, "auth/approle/login", login).await.0 })
    });
    let mut granted = 0;
    for one in tries.collect::<Vec<_>>() {
        granted += usize::from(one.await.unwrap() == 200);
    }
    assert_eq!(granted, 5);
}

#[tokio::test]
async fn what_is_almost_always_a_read_writes_when_it_must() {
    let (core, root) = (core().await, root());
    let encrypt =
        async || ask(&core, Some(&root), Asked::Write, "transit/encrypt/new", json!({"plaintext": ""})).await;
    let before = core.barrier.begin(Mode::ReadOnly).unwrap().index();
    assert_eq!(encrypt().await.0, 200);
    let made = core.barrier.begin(Mode::ReadOnly).unwrap().index();
    assert_eq!(encrypt().await.1["data"]["key_version"], 1);
    let after = core.barrier.begin(Mode::ReadOnly).unwrap().index();
    assert!(before < made && made == after, "the first made the key, the second only read it");
}
