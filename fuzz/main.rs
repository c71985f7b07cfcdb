//! One target under libFuzzer, chosen by the environment variable `WAXSEAL_FUZZ`; `list` names them all.
//!
//! A panic in any thread ends the run, and so does an input that takes more CPU than [`MOST`]. tests/long/fuzz builds and starts this.

#![no_main]

#[allow(dead_code, reason = "what the tests look at besides is no use here")]
mod targets;

use libfuzzer_sys::fuzz_target;
use rustix::time::{ClockId, clock_gettime};
use std::{process, sync::LazyLock, time::Duration};
use targets::{TARGETS, Target};

/// What one input may take with coverage counted and every comparison traced, which costs several times what it takes in
/// use. The bound in use is 100 ms: `tests/fuzz.rs` holds it, in the release profile, for what was found here too.
const MOST: Duration = Duration::from_millis(500);

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("WAXSEAL_FUZZ").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| {
        for target in TARGETS {
            println!("{}", target.name);
        }
        process::exit(i32::from(name != "list") * 2)
    })
});

fuzz_target!(init: {
    LazyLock::force(&TARGET);
    // What a target makes once is no cost of an input.
    (TARGET.run)(b"");
}, |data: &[u8]| {
    let before = used();
    (TARGET.run)(data);
    let took = used().saturating_sub(before);
    assert!(took < MOST, "took {took:?} of CPU");
});

fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
