//! The fuzz targets on stable Rust: their corpora, and seeded mutations of these. `tests/long/fuzz` runs the same targets
//! guided by coverage.
//!
//! No input makes anything panic, in whatever thread; none takes more CPU than [`MOST`]; and all of them together leave
//! the process as small as it was.

mod common;
#[path = "../fuzz/targets/mod.rs"]
mod targets;

use common::{authres, mail::Random};
use rustix::time::{ClockId, clock_gettime};
use std::{
    collections::HashSet,
    fs,
    panic::{self, AssertUnwindSafe},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use targets::{TARGETS, Target, authres_round_trip, message, milter};

/// What one input may take: 100 ms in use, and twenty times that without optimisation.
const MOST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 100 });

/// What each target may take in all; a dear one makes fewer mutations.
const BUDGET: Duration = Duration::from_millis(600);

/// Mutations of a target, where they are cheap.
const MUTATIONS: usize = 4_000;

/// Mutations at least, however dear.
const AT_LEAST: usize = 20;

/// What all targets together may add to the resident memory, in octets.
const GROWTH: u64 = 64 << 20;

/// Panics of any thread.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// The corpus of a target, by name.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = format!("fuzz/corpus/{}", target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut corpus: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let path = file.expect("a file of the corpus").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("a file that can be read"))
        })
        .collect();
    corpus.sort();
    assert!(corpus.len() > 2, "{folder} holds almost nothing");
    corpus
}

/// One input with a few of the changes that find most: an octet, a part, a part of another input, a word of the list.
fn mutated(random: &mut Random, corpus: &[(String, Vec<u8>)], words: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].1.clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(input.len() + 1);
        let end = at + random.below(input.len() - at + 1).min(random.below(64));
        match random.below(9) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.next().to_le_bytes()[0],
            2 => drop(input.drain(at..end)),
            3 => {
                let part = input[at..end].to_vec();
                let times = random.below(40);
                input.splice(end..end, part.repeat(times)).for_each(drop);
            }
            4 => {
                let other = &corpus[random.below(corpus.len())].1;
                let from = random.below(other.len() + 1);
                let to = from + random.below(other.len() - from + 1);
                input.splice(at..end, other[from..to].iter().copied()).for_each(drop);
            }
            5 => input.truncate(at),
            6 => input.insert(at, random.pick(&[b"\0", b"\r", b"\n", b";", b"=", b"\"", b"(", b"\xff"])[0]),
            _ => {
                let word = &words[random.below(words.len())];
                input.splice(at..at, word.iter().copied()).for_each(drop);
            }
        }
    }
    input.truncate(64 * 1024);
    input
}

/// The words that libFuzzer is given too.
fn words() -> Vec<Vec<u8>> {
    let list = fs::read_to_string("fuzz/words").expect("fuzz/words");
    list.lines().filter(|line| line.starts_with('"')).map(|line| unescaped(line.trim_matches('"'))).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("two digits");
                octets.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
                after
            }
            (b'\\', [escaped, after @ ..]) => {
                octets.push(*escaped);
                after
            }
            _ => {
                octets.push(byte);
                after
            }
        };
    }
    octets
}

/// Runs an input; gives the CPU time of this thread, or says what was wrong with which input.
fn run(target: &Target, name: &str, input: &[u8]) -> Result<Duration, String> {
    let before = (used(), PANICS.load(Ordering::SeqCst));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = used() - before.0;
    let wrong = |what: &str| Err(format!("{} {what} {name}, {}", target.name, input.escape_ascii()));
    if outcome.is_err() || PANICS.load(Ordering::SeqCst) != before.1 {
        return wrong("panics on");
    }
    if took < MOST { Ok(took) } else { wrong(&format!("takes {took:?} for")) }
}

/// What `tests/long/fuzz` found, if it says where.
fn found(target: &Target) -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = std::env::var("WAXSEAL_FUZZ_FOUND") else { return Vec::new() };
    let files = fs::read_dir(format!("{folder}/{}/corpus", target.name)).into_iter().flatten();
    let paths = files.map(|file| file.expect("a file of the corpus").path());
    paths.map(|path| (path.display().to_string(), fs::read(&path).expect("a file that can be read"))).collect()
}

/// The corpus, what was found, and mutations of the corpus; tells in one line what it took.
fn replay(target: &Target, words: &[Vec<u8>]) -> Result<String, String> {
    let (corpus, found) = (corpus(target), found(target));
    // What a target makes once, such as a runtime, is no cost of an input.
    (target.run)(b"");
    let mut worst = Duration::ZERO;
    for (name, input) in corpus.iter().chain(&found) {
        worst = worst.max(run(target, name, input)?);
    }
    let mut random = Random::new(0x5ea1);
    let (mut spent, mut count) = (Duration::ZERO, 0);
    while count < AT_LEAST || count < MUTATIONS && spent < BUDGET {
        let took = run(target, &format!("mutation {count}"), &mutated(&mut random, &corpus, words))?;
        (worst, spent, count) = (worst.max(took), spent + took, count + 1);
    }
    let (name, inputs) = (target.name, corpus.len() + found.len());
    Ok(format!("{name:20} {inputs:5} inputs, {count:4} mutations in {spent:.1?}, longest {worst:.1?}"))
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

/// Resident memory, in octets.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn no_input_panics_takes_long_or_leaves_anything_behind() {
    let said = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        said(panic);
    }));
    let words = words();
    let (mut wrong, mut before) = (Vec::new(), None);
    for target in TARGETS {
        match replay(target, &words) {
            Ok(told) => println!("{told}"),
            Err(what) => wrong.push(what),
        }
        before.get_or_insert_with(resident);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let growth = resident().saturating_sub(before.expect("there are targets"));
    assert!(growth < GROWTH, "{} KiB more than after the first target", growth / 1024);
}

#[test]
fn every_corpus_belongs_to_a_target_and_is_small() {
    let names: HashSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
    for folder in fs::read_dir("fuzz/corpus").expect("fuzz/corpus") {
        let name = folder.expect("a folder").file_name().to_string_lossy().into_owned();
        assert!(names.contains(name.as_str()), "fuzz/corpus/{name} has no target");
    }
    for target in TARGETS {
        let octets: usize = corpus(target).iter().map(|(_, input)| input.len()).sum();
        assert!(octets < 64 * 1024, "fuzz/corpus/{} has {octets} octets", target.name);
    }
}

/// What the round-trip target writes reads back the same by another reader as well.
#[test]
fn authres_reads_what_the_round_trip_target_writes() {
    let target = TARGETS.iter().find(|target| target.name == "authres_round_trip").expect("the target");
    let (corpus, words) = (corpus(target), words());
    let mut random = Random::new(0x5ea2);
    let mutations = (0..2_000).map(|_| mutated(&mut random, &corpus, &words));
    let fields: Vec<_> = corpus
        .iter()
        .map(|(_, input)| input.clone())
        .chain(mutations)
        .map(|input| authres_round_trip::field(&input))
        .collect();
    let written: Vec<String> = fields.iter().map(|field| field.value()).collect();
    for (field, theirs) in fields.iter().zip(authres::read(&written)) {
        assert_eq!(authres_round_trip::listing(field), theirs, "as authres 1.2.0 reads it:\n{}", field.value());
    }
}

/// Mutations of what is refused at once would show little: the corpora begin with what gets through.
#[test]
fn the_corpora_reach_what_they_are_for() {
    let read = |path: &str| fs::read(format!("fuzz/corpus/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"));
    let pass = [("dkim", 1), ("spf", 1), ("dmarc", 1)];
    for (name, methods) in [
        ("simple", &pass[..]),
        ("relaxed", &pass),
        ("two-signatures", &[("dkim", 2), ("spf", 1), ("dmarc", 1)]),
        ("sealed", &[("arc", 1)]),
    ] {
        let results = message::results(&read(&format!("message/{name}")));
        for (method, times) in methods {
            assert_eq!(results.matches(&format!("\n\t{method}=pass")).count(), *times, "{name}: {results}");
        }
    }
    for (name, inserted) in [("sign", "DKIM-Signature\0 v=1;"), ("verify", "Authentication-Results\0 ")] {
        let answers = milter::answers(&read(&format!("milter/{name}")));
        let inserts = answers.windows(inserted.len()).any(|part| part == inserted.as_bytes());
        assert!(inserts, "{name}: {}", answers.escape_ascii());
    }
}
