//! Seeded randomness: a failing run prints the seed that repeats it.

/// A generator seeded from `TEST_SEED`, else at random; the seed is printed.
pub fn seeded(what: &str) -> fastrand::Rng {
    let given = std::env::var_os("TEST_SEED").and_then(|text| text.to_str()?.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("{what}: repeat with TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
