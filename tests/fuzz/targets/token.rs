//! Any text as a token: a store knows the two tokens it made, in these words and no others, and never panics. A signed
//! wrapping token nobody signed does not open.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use time::OffsetDateTime;
use understudy::barrier::{Keyring, Mode, Transaction};
use understudy::core::token_store::{Kind, TokenSpec, TokenStore};
use understudy::core::wrapping::jwt;
use understudy::storage::{Snapshot, StorageError, Stored};

/// A store of nothing; what is written stays in the transaction.
#[derive(Debug)]
struct Nothing;

impl Snapshot for Nothing {
    fn index(&self) -> u64 {
        1
    }

    fn get(&self, _: &str) -> Result<Option<Stored>, StorageError> {
        Ok(None)
    }

    fn list(&self, _: &str, _: &str, _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn keys(&self, _: &str, _: &str, _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

struct World {
    tx: Transaction,
    tokens: TokenStore,
    service: String,
    batch: String,
}

impl World {
    fn new() -> Self {
        let keyring = Arc::new(Keyring::new([(1, &[1; 32])]));
        let mut tx = Transaction::new(Arc::new(Nothing), keyring, Mode::ReadWrite);
        let tokens = TokenStore::new();
        let mut make = |kind| {
            let spec = TokenSpec { kind, path: "auth/token/create".to_owned(), ..TokenSpec::default() };
            let made = tokens.create(&mut tx, spec, OffsetDateTime::UNIX_EPOCH).expect("nothing is in the way");
            made.granted.client_token.to_string()
        };
        let (service, batch) = (make(Kind::Service), make(Kind::Batch));
        Self { tx, tokens, service, batch }
    }

    fn knows(&mut self, text: &str) -> bool {
        let found = self.tokens.lookup(&mut self.tx, text, OffsetDateTime::UNIX_EPOCH);
        found.expect("a store in memory can be read").is_some()
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|text: &str| {
    WORLD.with_borrow_mut(|world| {
        assert!(!world.knows(text));
        for own in [world.service.clone(), world.batch.clone()] {
            assert!(world.knows(&own));
            // Something of the input in the middle of a real one.
            let at = text.len() % own.len();
            let (front, back) = own.split_at(at);
            let changed = format!("{front}{text}{back}");
            assert_eq!(world.knows(&changed), text.is_empty());
        }
        if jwt::is_one(text) {
            assert!(jwt::open(&mut world.tx, text).expect("a store in memory can be read").is_err());
        }
    });
});
