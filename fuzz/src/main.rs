//! Feeds mutated bytes to everything of Bulkhead that must take any bytes. Needs no nightly compiler.
//!
//! `cargo run --release --manifest-path fuzz/Cargo.toml -- --seconds 10 [TARGET…]`; an input that breaks a
//! target is written to `fuzz/crashes/`, and the exit status is 1. A file in place of a target's name is
//! `TARGET:FILE` and is run once. `--write-seeds` writes the beginning of the corpus.

mod mutate;
mod seeds;
mod targets;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mutate::{Numbers, mutate};
use targets::{TARGETS, Target};

const HELP: &str = "usage: fuzz [--seconds N] [--seed N] [--write-seeds] [TARGET | TARGET:FILE]...";
/// An input that takes longer hangs.
const HANGS: Duration = Duration::from_secs(10);
/// Inputs that are kept beside the corpus, because they led somewhere new.
const POOL: usize = 4096;

struct Options {
    seconds: u64,
    seed: u64,
    write_seeds: bool,
    names: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { seconds: 10, seed: 0x6275_6c6b_6865_6164, write_seeds: false, names: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number =
            || words.next().and_then(|n| n.parse().ok()).ok_or(format!("{word} needs a number\n{HELP}"));
        match word.as_str() {
            "--seconds" => options.seconds = number()?,
            "--seed" => options.seed = number()?,
            "--write-seeds" => options.write_seeds = true,
            "--help" => return Err(HELP.to_owned()),
            flag if flag.starts_with('-') => return Err(format!("there is no {flag}\n{HELP}")),
            name => options.names.push(name.to_owned()),
        }
    }
    Ok(options)
}

/// True if nothing broke.
fn run(options: &Options) -> Result<bool, String> {
    if options.write_seeds {
        return write_seeds().map(|()| true).map_err(|error| error.to_string());
    }
    let named = |name: &str| {
        let found = TARGETS.iter().find(|(target, _)| *target == name);
        let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        found.copied().ok_or_else(|| format!("there is no target {name}; known are {}", known.join(", ")))
    };
    let mut chosen = Vec::new();
    for name in &options.names {
        match name.split_once(':') {
            Some((target, file)) => {
                let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
                println!("{target}: {:016x}", named(target)?.1(&bytes));
            }
            None => chosen.push(named(name)?),
        }
    }
    if options.names.is_empty() {
        chosen.extend_from_slice(TARGETS);
    }
    let mut well = true;
    for (name, target) in chosen {
        well &= fuzz(name, target, options).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(well)
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)
}

fn write_seeds() -> io::Result<()> {
    for (target, name, bytes) in seeds::all() {
        let folder = folder("corpus").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

fn corpus(name: &str) -> io::Result<Vec<Vec<u8>>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder("corpus").join(name))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    files.iter().map(fs::read).collect()
}

/// The input being run, and since when: for the thread that notices that it hangs.
type Current = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

fn fuzz(name: &'static str, target: Target, options: &Options) -> io::Result<bool> {
    let mut pool = corpus(name)?;
    let from_corpus = pool.len();
    let mut numbers = Numbers::new(options.seed);
    let mut seen = HashSet::new();
    let current: Current = Arc::default();
    watch(name, &current);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut runs = 0usize;
    while runs < from_corpus || Instant::now() < end {
        let mut input = match pool.get(runs) {
            Some(seed) if runs < from_corpus => seed.clone(),
            _ => pool.get(numbers.below(pool.len())).cloned().unwrap_or_default(),
        };
        if runs >= from_corpus {
            mutate(&mut numbers, &mut input, &pool);
        }
        set(&current, Some((Instant::now(), input.clone())));
        let Ok(result) = catch_unwind(|| target(&input)) else {
            let file = keep(name, &input)?;
            println!("{name}: BROKEN after {runs} runs by {}", file.display());
            return Ok(false);
        };
        if seen.insert(result) && runs >= from_corpus && pool.len() < POOL {
            pool.push(input);
        }
        runs += 1;
    }
    set(&current, None);
    println!("{name}: {runs} runs, {} outcomes", seen.len());
    Ok(true)
}

fn set(current: &Current, value: Option<(Instant, Vec<u8>)>) {
    match current.lock() {
        Ok(mut current) => *current = value,
        Err(poisoned) => *poisoned.into_inner() = value,
    }
}

/// Ends the program if an input hangs. The thread ends with its target.
fn watch(name: &'static str, current: &Current) {
    let current = Arc::downgrade(current);
    thread::spawn(move || {
        while let Some(current) = current.upgrade() {
            let hanging = match current.lock() {
                Ok(current) => current.as_ref().filter(|(since, _)| since.elapsed() > HANGS).cloned(),
                Err(_) => None,
            };
            if let Some((_, input)) = hanging {
                let file = keep(name, &input).unwrap_or_default();
                println!("{name}: HANGS on {}", file.display());
                std::process::exit(1);
            }
            drop(current);
            thread::sleep(Duration::from_millis(500));
        }
    });
}

/// Writes an input that broke a target.
fn keep(name: &str, input: &[u8]) -> io::Result<PathBuf> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let folder = folder("crashes");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{name}-{:016x}", hasher.finish()));
    fs::write(&file, input)?;
    Ok(file)
}
