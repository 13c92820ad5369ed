//! Properties that hold for any input, tried with inputs that are changed from those of a corpus.
//!
//! A target returns the *shape* of what it made of an input, for example the kinds of the statements
//! of a text. An input with a new shape joins the pool of inputs that are changed further, so the
//! search reaches deeper without instrumentation of the code.

mod configuration;
mod connection_strings;
mod mutations;
mod queries;
mod wire_filter;

use std::collections::HashSet;
use std::env;
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::seed::Seed;
use mutations::Mutator;

/// The time for one target, unless `PGASYNC_FUZZ_SECONDS` sets it.
const SECONDS: u64 = 6;

/// The limit on the inputs that are changed further.
const POOL_MAX: usize = 5_000;

/// Tries the inputs of the corpus, and then changed inputs until the time is over. `dictionary` has
/// pieces that the changes insert.
fn fuzz<S: Hash>(name: &str, dictionary: &[&str], target: impl Fn(&[u8]) -> S) {
    let corpus = corpus(name);
    let seconds = env::var("PGASYNC_FUZZ_SECONDS").ok().map_or(SECONDS, |text| text.parse().expect("a number"));
    let mut shapes = HashSet::new();
    let mut pool = Vec::new();
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let mut try_input = |pool: &mut Vec<Vec<u8>>, input: Vec<u8>| {
        let shape = catch_unwind(AssertUnwindSafe(|| target(&input))).unwrap_or_else(|panic| {
            eprintln!("input: {:?}\nkept in {}", String::from_utf8_lossy(&input), keep(name, &input).display());
            resume_unwind(panic)
        });
        if shapes.insert(hasher.hash_one(shape)) && pool.len() < POOL_MAX {
            pool.push(input);
        }
    };
    for (_, input) in &corpus {
        try_input(&mut pool, input.clone());
    }
    let mut mutator = Mutator { seed: Seed::of_this_run(), dictionary };
    let (begin, mut tried) = (Instant::now(), 0_u64);
    while begin.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..100 {
            let input = mutator.change(&pool);
            try_input(&mut pool, input);
        }
        tried += 100;
    }
    eprintln!("{name}: {tried} inputs, {} shapes, {} of them in the corpus", pool.len(), corpus.len());
}

/// The inputs of the corpus, in the order of their names.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 5, "{} has {} files", folder.display(), files.len());
    files.into_iter().map(|file| (file.clone(), fs::read(file).expect("it is readable"))).collect()
}

/// Keeps an input that breaks a property, for a file of the corpus.
fn keep(name: &str, input: &[u8]) -> PathBuf {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(input);
    let file = env::temp_dir().join(format!("pgasync-fuzz-{name}-{hash:016x}"));
    // The input is printed as well.
    let _ = fs::write(&file, input);
    file
}
