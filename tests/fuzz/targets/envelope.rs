//! What a store hands back to the barrier, whatever it is: values, key records and the keyring inside of one are opened or
//! refused, never a panic; what was changed or moved does not open.
#![no_main]

use libfuzzer_sys::fuzz_target;
use understudy::barrier::{KEYRING, Keyring, SecretKey};
use understudy::seal::Share;
use understudy::storage::{Snapshot, StorageError, Stored};

/// A store of one record.
#[derive(Debug)]
struct One(Vec<u8>);

impl Snapshot for One {
    fn index(&self) -> u64 {
        1
    }

    fn get(&self, key: &str) -> Result<Option<Stored>, StorageError> {
        Ok((key == KEYRING).then(|| Stored { version: 1, value: self.0.clone().into() }))
    }

    fn list(&self, _: &str, _: &str, _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn keys(&self, _: &str, _: &str, _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

fuzz_target!(|data: &[u8]| {
    let (ring, key) = (Keyring::new([(1, &[1; 32])]), SecretKey::of(&[2; 32]).expect("32 bytes"));
    assert!(ring.open("a", data).is_err(), "nobody has sealed this");
    assert!(key.open("a", data).is_err());
    assert!(Keyring::load(&key, &One(data.to_vec())).is_err());
    // Right seal, any contents.
    drop(Keyring::load(&key, &One(key.seal(KEYRING, data))));

    let mut sealed = ring.seal("a", data);
    assert_eq!(ring.open("a", &sealed).expect("it was sealed so").as_slice(), data);
    assert!(ring.open("b", &sealed).is_err());
    let at = data.first().map_or(0, |byte| usize::from(*byte)) % sealed.len();
    sealed[at] ^= data.last().copied().unwrap_or(0) | 1;
    assert!(ring.open("a", &sealed).is_err(), "byte {at} was changed");

    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(share) = Share::parse(text)
    {
        assert!(Share::parse(&share.hex()).is_ok_and(|again| again.is(&share)));
        assert!(Share::parse(&share.base64()).is_ok());
    }
});
