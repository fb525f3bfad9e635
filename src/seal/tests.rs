//! The seal over a store in memory, as a node uses it.

use std::sync::Arc;

use parking_lot::Mutex;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::*;
use crate::barrier::{self, Barrier, HANDOVER, KEYRING, KeysError, Mode, SecretKey, Transaction};
use crate::storage::{Changes, Storage, Write, inmem};

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Notes what it is told; `fails` is what `opened` says.
#[derive(Debug, Default)]
struct Noted {
    told: Mutex<Vec<&'static str>>,
    fails: Mutex<Option<String>>,
}

impl Inside for Noted {
    fn found(&self, tx: &mut Transaction) -> Result<Zeroizing<String>, String> {
        tx.put("sys/first", Zeroizing::new(b"contents".to_vec())).map_err(|error| error.to_string())?;
        Ok(Zeroizing::new("s.root".to_owned()))
    }

    fn opened(&self) -> Opening<'_> {
        self.told.lock().push("opened");
        let outcome = self.fails.lock().clone().map_or(Ok(()), Err);
        Box::pin(async { outcome })
    }

    fn closed(&self) {
        self.told.lock().push("closed");
    }
}

struct Node {
    barrier: Arc<Barrier>,
    inside: Arc<Noted>,
    ceremonies: Arc<Ceremonies>,
    seal: Arc<SealManager>,
}

/// A node over `storage`: several of them are a cluster.
fn node(storage: &Arc<dyn Storage>, method: Method) -> Node {
    let (barrier, inside) = (Arc::new(Barrier::new(Arc::clone(storage))), Arc::new(Noted::default()));
    let method = Arc::new(method);
    let ceremonies = Arc::new(Ceremonies::new(&method));
    let seal =
        SealManager::new(Arc::clone(&barrier), method, Arc::clone(&ceremonies), Arc::clone(&inside) as _);
    Node { barrier, inside, ceremonies, seal: Arc::new(seal) }
}

fn shamir() -> Node {
    node(&inmem::open(), Method::Shamir)
}

fn key(id: &str, byte: u8) -> NamedKey {
    NamedKey { id: id.to_owned(), key: SecretKey::of(&[byte; 32]).unwrap() }
}

fn shares(shares: i64, threshold: i64) -> InitRequest {
    InitRequest { secret_shares: shares, secret_threshold: threshold, ..InitRequest::default() }
}

impl Node {
    async fn initialized(&self, split: (i64, i64)) -> Vec<Share> {
        self.seal.initialize(&shares(split.0, split.1), NOW).await.unwrap().shares.unseal
    }

    async fn unseal(&self, shares: &[Share]) -> Result<(), UnsealError> {
        for share in shares {
            self.seal.unseal(share.clone()).await?;
        }
        Ok(())
    }

    fn begin(&self) -> Transaction {
        self.barrier.begin(Mode::ReadWrite).unwrap()
    }

    async fn commit(&self, tx: Transaction) {
        self.barrier.commit(tx).await.unwrap();
    }

    fn first(&self) -> String {
        let value = self.begin().get("sys/first").unwrap().unwrap();
        String::from_utf8(value.to_vec()).unwrap()
    }

    async fn rotate(&self) -> u32 {
        let mut tx = self.begin();
        let term = barrier::rotate(&mut tx, NOW).unwrap();
        self.commit(tx).await;
        term
    }

    /// The whole ceremony, shares of the old key given one request each.
    async fn rekey(&self, rekey: &Rekey, request: RekeyRequest, old: &[Share]) -> Vec<Share> {
        let nonce = rekey.start(&self.begin(), "start", &request).unwrap().nonce;
        let mut made = Vec::new();
        for (number, share) in old.iter().enumerate() {
            let mut tx = self.begin();
            let step = rekey.update(&mut tx, &number.to_string(), share.clone(), &nonce).unwrap();
            self.commit(tx).await;
            if let RekeyStep::Done { shares, .. } = step {
                made = shares;
            }
        }
        made
    }
}

fn three_of_two() -> RekeyRequest {
    RekeyRequest { shares: 3, threshold: 2, ..RekeyRequest::default() }
}

async fn overwrite(storage: &Arc<dyn Storage>, key: &str, value: Option<&[u8]>) {
    let key = key.to_owned();
    let write = match value {
        Some(value) => Write::Put { key, value: value.to_vec().into() },
        None => Write::Delete { key },
    };
    storage.commit(Changes { seen: None, expect: Vec::new(), writes: vec![write] }).await.unwrap();
}

#[tokio::test]
async fn a_store_is_made_once_and_opens_with_any_enough_shares() {
    let node = shamir();
    assert!(!node.seal.is_initialized().unwrap());
    let made = node.seal.initialize(&shares(5, 3), NOW).await.unwrap();
    assert_eq!((made.shares.unseal.len(), made.root_token.as_str()), (5, "s.root"));
    assert!(matches!(node.seal.initialize(&shares(5, 3), NOW).await, Err(InitError::Already)));
    let status = node.seal.status().unwrap();
    assert_eq!((status.initialized, status.sealed, status.progress), (true, true, 0));
    assert_eq!(status.split, Some(Split::check(5, 3).unwrap()));
    node.unseal(&made.shares.unseal[2..4]).await.unwrap();
    let half = node.seal.status().unwrap();
    assert_eq!((half.sealed, half.progress, half.nonce.len()), (true, 2, 36));
    node.unseal(&made.shares.unseal[..1]).await.unwrap();
    let open = node.seal.status().unwrap();
    assert_eq!((open.sealed, open.progress, open.nonce.as_str()), (false, 0, ""));
    assert_eq!(node.first(), "contents");
    node.seal.seal().await;
    assert!(node.barrier.begin(Mode::ReadOnly).is_err());
    node.unseal(&made.shares.unseal[..3]).await.unwrap();
    assert_eq!(*node.inside.told.lock(), ["opened", "closed", "opened"]);
}

#[tokio::test]
async fn wrong_shares_open_nothing_and_end_the_round() {
    let node = shamir();
    let good = node.initialized((3, 2)).await;
    let other = shamir().initialized((3, 2)).await;
    let error = node.unseal(&[good[0].clone(), other[1].clone()]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: \
         cipher: message authentication failed"
    );
    assert_eq!(node.seal.status().unwrap().progress, 0);
    node.unseal(&good[..1]).await.unwrap();
    node.seal.reset();
    assert_eq!(node.seal.status().unwrap().progress, 0);
    node.unseal(&good[..2]).await.unwrap();
    assert!(!node.barrier.is_sealed());
}

#[tokio::test]
async fn damage_is_told_and_never_taken_for_a_new_store() {
    for (key, value, told) in [
        (KEYRING, None, "holds no keyring"),
        (KEYRING, Some(&b"garbage that is long enough to be an envelope"[..]), "damaged or replaced"),
        ("core/root-key", None, "lacks core/root-key"),
        ("core/root-key", Some(b"{}"), "core/root-key is damaged"),
        ("core/seal-config", None, "lacks core/seal-config"),
        ("core/seal-config", Some(b"{"), "core/seal-config is damaged"),
    ] {
        let storage = inmem::open();
        let node = node(&storage, Method::Shamir);
        let all = node.initialized((1, 1)).await;
        overwrite(&storage, key, value).await;
        let error = node.unseal(&all).await.unwrap_err().to_string();
        assert!(error.contains(told), "{key}: {error}");
        assert!(node.barrier.is_sealed());
        let again = node.seal.initialize(&shares(1, 1), NOW).await;
        assert!(matches!(again, Err(InitError::Already)), "{key}");
    }
    let storage = inmem::open();
    overwrite(&storage, "logical/x", Some(b"somebody's")).await;
    let node = node(&storage, Method::Shamir);
    assert!(matches!(node.seal.initialize(&shares(1, 1), NOW).await, Err(InitError::Occupied)));
}

#[tokio::test]
async fn a_node_that_cannot_load_stays_sealed() {
    let node = shamir();
    let all = node.initialized((1, 1)).await;
    *node.inside.fails.lock() = Some("no mounts".to_owned());
    assert!(matches!(node.unseal(&all).await, Err(UnsealError::Inside(_))));
    assert!(node.barrier.is_sealed() && node.barrier.begin(Mode::ReadOnly).is_err());
    assert_eq!(*node.inside.told.lock(), ["opened", "closed"]);
}

#[tokio::test]
async fn every_open_node_follows_rotations_and_new_root_keys() {
    let storage = inmem::open();
    let (active, standby) = (node(&storage, Method::Shamir), node(&storage, Method::Shamir));
    let old = active.initialized((2, 2)).await;
    active.unseal(&old).await.unwrap();
    standby.unseal(&old).await.unwrap();
    for term in 2..5 {
        assert_eq!(active.rotate().await, term);
        let mut tx = active.begin();
        tx.put("sys/new", Zeroizing::new(vec![1])).unwrap();
        active.commit(tx).await;
        assert_eq!(standby.barrier.keyring().unwrap().active_term(), term);
        assert_eq!(standby.begin().get("sys/new").unwrap().unwrap().as_slice(), [1]);
        assert_eq!(standby.first(), "contents", "old terms are still read");
    }
    let new = active.rekey(&active.ceremonies.root, three_of_two(), &old).await;
    let (ours, theirs) = (active.barrier.keyring().unwrap(), standby.barrier.keyring().unwrap());
    assert!(ours.root().is(theirs.root()), "the standby holds the new root key");
    active.rotate().await;
    assert_eq!(standby.barrier.keyring().unwrap().active_term(), 5);
    standby.seal.seal().await;
    assert!(matches!(standby.unseal(&old).await, Err(UnsealError::WrongKey)));
    standby.unseal(&new[1..]).await.unwrap();
    assert_eq!(standby.first(), "contents");
}

#[tokio::test]
async fn a_transaction_reads_what_a_younger_key_sealed() {
    let node = shamir();
    let all = node.initialized((1, 1)).await;
    node.unseal(&all).await.unwrap();
    let before = node.barrier.keyring().unwrap();
    node.rotate().await;
    let mut tx = node.begin();
    tx.put("sys/new", Zeroizing::new(vec![1])).unwrap();
    node.commit(tx).await;
    let mut tx = Transaction::new(node.barrier.storage().snapshot(), before, Mode::ReadOnly);
    assert_eq!(tx.get("sys/new").unwrap().unwrap().as_slice(), [1]);
}

#[tokio::test]
async fn two_rotations_at_once_lose_no_key() {
    let node = shamir();
    let all = node.initialized((1, 1)).await;
    node.unseal(&all).await.unwrap();
    let (mut first, mut second) = (node.begin(), node.begin());
    barrier::rotate(&mut first, NOW).unwrap();
    barrier::rotate(&mut second, NOW).unwrap();
    node.commit(first).await;
    assert!(node.barrier.commit(second).await.is_err());
    assert_eq!(node.rotate().await, 3);
}

#[tokio::test]
async fn a_keyring_that_cannot_be_followed_seals_the_node() {
    let storage = inmem::open();
    let node = node(&storage, Method::Shamir);
    let all = node.initialized((1, 1)).await;
    node.unseal(&all).await.unwrap();
    let good = storage.snapshot().get(KEYRING).unwrap().unwrap().value;
    overwrite(&storage, HANDOVER, None).await;
    overwrite(&storage, KEYRING, Some(&[0; 64])).await;
    assert!(node.barrier.is_sealed());
    assert!(matches!(node.unseal(&all).await, Err(UnsealError::Keys(KeysError::Sealed(_)))));
    overwrite(&storage, KEYRING, Some(&good)).await;
    node.unseal(&all).await.unwrap();
    assert_eq!(node.first(), "contents");
}

#[tokio::test]
async fn whoever_seals_the_barrier_the_node_is_cleared() {
    let node = shamir();
    let all = node.initialized((1, 1)).await;
    node.unseal(&all).await.unwrap();
    let clearing = SealManager::clear_when_sealed(Arc::downgrade(&node.seal), node.barrier.watch());
    let task = tokio::spawn(clearing);
    tokio::task::yield_now().await;
    node.barrier.seal();
    while node.inside.told.lock().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*node.inside.told.lock(), ["opened", "closed"]);
    task.abort();
}

#[tokio::test]
async fn a_rekey_needs_the_old_shares_and_its_nonce() {
    let node = shamir();
    let old = node.initialized((3, 2)).await;
    node.unseal(&old[..2]).await.unwrap();
    let rekey = &node.ceremonies.root;
    let text = |outcome: Result<RekeyStep, RekeyError>| outcome.unwrap_err().to_string();
    let update =
        |id: &str, share: &Share, nonce: &str| rekey.update(&mut node.begin(), id, share.clone(), nonce);
    assert_eq!(text(update("1", &old[0], "")), "no rekey in progress");
    let nonce = rekey.start(&node.begin(), "2", &three_of_two()).unwrap().nonce;
    assert!(matches!(rekey.start(&node.begin(), "3", &three_of_two()), Err(RekeyError::InProgress)));
    assert_eq!(
        text(update("4", &old[0], "x")),
        format!("incorrect nonce supplied; nonce for this rekey operation is \"{nonce}\"")
    );
    assert!(matches!(update("5", &old[0], &nonce), Ok(RekeyStep::Waiting(_))));
    assert_eq!(
        text(update("6", &old[0], &nonce)),
        "given key has already been provided during this generation operation"
    );
    let stranger = Share::parse(&hex::encode([9; 33])).unwrap();
    assert!(text(update("7", &stranger, &nonce)).contains("message authentication failed"));
    assert_eq!(rekey.progress(&node.begin()).unwrap().progress, 0, "the round begins anew");
    rekey.cancel();
    assert!(!rekey.progress(&node.begin()).unwrap().started);
    let new = node.rekey(rekey, three_of_two(), &old[1..]).await;
    assert_eq!((new.len(), rekey.progress(&node.begin()).unwrap().started), (3, false));
    node.seal.seal().await;
    assert!(node.unseal(&old[..2]).await.is_err());
    node.unseal(&new[..2]).await.unwrap();
}

#[tokio::test]
async fn verified_shares_replace_the_old_ones_only_when_they_were_shown() {
    let node = shamir();
    let old = node.initialized((1, 1)).await;
    node.unseal(&old).await.unwrap();
    let rekey = &node.ceremonies.root;
    let request = RekeyRequest { verify: true, ..three_of_two() };
    let new = node.rekey(rekey, request, &old).await;
    let progress = rekey.progress(&node.begin()).unwrap();
    assert!(progress.started && !progress.verification_nonce.is_empty());
    assert!(matches!(
        rekey.update(&mut node.begin(), "a", old[0].clone(), &progress.nonce),
        Err(RekeyError::Finished(_))
    ));
    node.seal.seal().await;
    node.unseal(&old).await.unwrap();
    assert!(matches!(rekey.verify_progress(), Err(RekeyError::NoConfiguration)), "sealing ends it");

    let again = node.rekey(rekey, request, &old).await;
    let nonce = || rekey.verify_progress().unwrap().nonce;
    let show = |id: &str, share: &Share, nonce: &str| {
        let mut tx = node.begin();
        (rekey.verify(&mut tx, id, share.clone(), nonce), tx)
    };
    let first = nonce();
    assert!(matches!(show("1", &new[0], &first).0, Ok(VerifyStep::Waiting(_))));
    assert!(matches!(show("2", &new[0], &first).0, Err(RekeyError::VerifyKnown)));
    assert!(matches!(show("3", &new[1], &first).0, Err(RekeyError::VerifyFailed)));
    assert_ne!(nonce(), first, "a failed verification begins anew");
    assert!(matches!(show("4", &again[0], &first).0, Err(RekeyError::VerifyNonce(_))));
    let second = rekey.restart_verification("5").unwrap().nonce;
    assert!(matches!(show("6", &again[0], &second).0, Ok(VerifyStep::Waiting(_))));
    let (step, tx) = show("7", &again[2], &second);
    assert!(matches!(step, Ok(VerifyStep::Done(_))));
    node.commit(tx).await;
    node.seal.seal().await;
    assert!(node.unseal(&old).await.is_ok() && node.barrier.is_sealed(), "one share is not enough any more");
    node.seal.reset();
    node.unseal(&again[1..]).await.unwrap();
}

#[tokio::test]
async fn a_root_token_is_handed_back_under_its_pad() {
    let node = shamir();
    let all = node.initialized((3, 2)).await;
    node.unseal(&all[..2]).await.unwrap();
    let generate = &node.ceremonies.generate_root;
    let tx = node.begin();
    assert!(matches!(generate.start(&tx, "1", "short", false), Err(GenerateError::OtpLength)));
    assert!(matches!(generate.start(&tx, "2", "", true), Err(GenerateError::Pgp)));
    let (progress, otp) = generate.start(&tx, "3", "", false).unwrap();
    assert_eq!((progress.required, otp.as_ref().map(|otp| otp.len())), (2, Some(OTP_LENGTH)));
    assert!(matches!(generate.start(&tx, "4", "", false), Err(GenerateError::InProgress)));
    let update = |id: &str, share: &Share| generate.update(&tx, id, share.clone(), &progress.nonce);
    assert!(matches!(update("5", &all[0]), Ok(RootStep::Waiting(_))));
    assert!(matches!(update("6", &all[0]), Err(GenerateError::Known)));
    let right = update("7", &all[1]).unwrap();
    let again = update("7", &all[1]).unwrap();
    for step in [right, again] {
        let RootStep::Authorised { progress, otp: pad } = step else { panic!("two are enough") };
        assert_eq!((progress.progress, &*pad), (2, &**otp.as_ref().unwrap()), "also when run again");
    }
    assert!(matches!(update("8", &all[0]), Err(GenerateError::NotInProgress)));
    let (token, pad) = ("s.abcdefghijklmnopqrstuvwx", otp.unwrap());
    assert_eq!(decode(&encode(token, &pad).unwrap(), &pad).unwrap().as_str(), token);
    for (encoded, otp, error) in [
        ("a", "b", "error decoding base64'd token: illegal base64 data at input byte 0"),
        ("YWJj", "b", "error xoring token: length of byte slices is not equivalent: 3 != 1"),
    ] {
        assert_eq!(decode(encoded, otp).unwrap_err().to_string(), error);
    }
}

#[tokio::test]
async fn a_static_key_opens_by_itself_and_recovery_shares_authorise() {
    let storage = inmem::open();
    let keys = |current, previous| Method::Static(StaticKeys { current, previous });
    let node = node(&storage, keys(key("k1", 1), None));
    assert!(!node.seal.unseal_by_itself().await.unwrap(), "nothing to open yet");
    let request = InitRequest { recovery_shares: 3, recovery_threshold: 2, ..InitRequest::default() };
    let made = node.seal.initialize(&request, NOW).await.unwrap().shares;
    assert_eq!((made.unseal.len(), made.recovery.len(), node.barrier.is_sealed()), (0, 3, false));
    let old = made.recovery;
    let new = node.rekey(&node.ceremonies.recovery, three_of_two(), &old[..2]).await;
    let status = node.seal.status().unwrap();
    assert_eq!((status.kind, status.recovery, status.split.map(Split::shares)), ("static", true, Some(3)));
    let nonce = node.ceremonies.generate_root.start(&node.begin(), "1", "", false).unwrap().0.nonce;
    let update = |id: &str, share: &Share| {
        node.ceremonies.generate_root.update(&node.begin(), id, share.clone(), &nonce)
    };
    assert!(matches!(update("2", &old[0]), Ok(RootStep::Waiting(_))));
    assert_eq!(
        update("3", &old[1]).unwrap_err().to_string(),
        "root generation aborted: unable to authenticate: recovery key verification failed: \
         recovery key does not match submitted values"
    );
    assert!(matches!(update("4", &new[0]), Ok(RootStep::Waiting(_))));
    assert!(matches!(update("5", &new[1]), Ok(RootStep::Authorised { .. })));

    let before = node.barrier.keyring().unwrap();
    let none = node.rekey(&node.ceremonies.root, RekeyRequest::default(), &new[..2]).await;
    assert!(none.is_empty() && !node.barrier.keyring().unwrap().root().is(before.root()));
    node.seal.seal().await;
    assert!(node.unseal(&old[..2]).await.is_err(), "shares of a recovery key that was replaced");
    node.unseal(&new[..2]).await.unwrap();
    assert_eq!(node.first(), "contents");

    let renamed = super::tests::node(&storage, keys(key("k2", 2), None));
    assert!(matches!(
        renamed.seal.unseal_by_itself().await,
        Err(UnsealError::Kept(KeptError::UnknownStaticKey { .. }))
    ));
    let moved = super::tests::node(&storage, keys(key("k2", 2), Some(key("k1", 1))));
    assert!(moved.seal.unseal_by_itself().await.unwrap());
    moved.seal.tend(NOW).await.unwrap();
    assert!(renamed.seal.unseal_by_itself().await.unwrap(), "sealed again with the current key");
    let other = super::tests::node(&storage, Method::Shamir);
    assert!(matches!(other.unseal(&new).await, Err(UnsealError::Kept(KeptError::OtherMethod { .. }))));
}

#[tokio::test]
async fn without_recovery_shares_nobody_makes_a_root_token() {
    let node = node(&inmem::open(), Method::Static(StaticKeys { current: key("k", 1), previous: None }));
    node.seal.initialize(&InitRequest::default(), NOW).await.unwrap();
    let generate = &node.ceremonies.generate_root;
    let (progress, _) = generate.start(&node.begin(), "1", "", false).unwrap();
    assert_eq!(progress.required, 0);
    let share = Share::parse(&hex::encode([1; 32])).unwrap();
    let refused = generate.update(&node.begin(), "2", share, &progress.nonce);
    assert!(matches!(refused, Err(GenerateError::Proof(ProofError::NoRecovery))));
}

#[tokio::test]
async fn keys_that_are_due_are_replaced() {
    let node = shamir();
    let all = node.initialized((1, 1)).await;
    node.unseal(&all).await.unwrap();
    let mut tx = node.begin();
    let daily = barrier::Rotation { interval_secs: 86_400, ..barrier::Rotation::default() };
    barrier::set_rotation(&mut tx, daily).unwrap();
    node.commit(tx).await;
    let hour = std::time::Duration::from_hours(1);
    for (now, term) in
        [(NOW + hour * 23, 1), (NOW + hour * 24, 2), (NOW + hour * 47, 2), (NOW + hour * 48, 3)]
    {
        node.seal.tend(now).await.unwrap();
        assert_eq!(node.barrier.keyring().unwrap().active_term(), term);
    }
}
