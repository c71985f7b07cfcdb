//! The fuzz targets: each takes any octets, hands them to one reader or path, and panics if what comes out cannot be.
//!
//! They know neither an engine nor a test. `fuzz/main.rs` runs them under libFuzzer, `tests/fuzz.rs` on their corpus and
//! on mutations of it; both watch what an input costs. Nothing here asks the network: answers come from the input.

mod zone;

use std::{cell::RefCell, future::Future};

/// One target.
pub struct Target {
    /// Its name; its corpus is `fuzz/corpus/NAME`.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(pub mod $name;)*
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name::run }),*];
    };
}

targets! {
    header
    tag_list
    signature
    key_record
    spf_record
    spf_evaluation
    dmarc_record
    authres_read
    authres_round_trip
    zone_file
    config
    provider
    input
    received
    canonicalization
    message
    diagnosis
    milter
}

/// When every message is judged: 2026-11-23T04:00:00Z, in seconds since 1970.
const NOW: u64 = 1_795_406_400;

/// The parts of an input, between lines that hold `%%` alone; what is missing is empty, and the last takes the rest.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    const LINE: &[u8] = b"%%\n";
    let mut rest = data;
    std::array::from_fn(|at| {
        let is_line = |found: &usize| *found == 0 || rest[found - 1] == b'\n';
        let found = rest.windows(LINE.len()).enumerate().filter(|(_, window)| *window == LINE).map(|(found, _)| found);
        let Some(end) = found.into_iter().find(is_line).filter(|_| at + 1 < N) else {
            return std::mem::take(&mut rest);
        };
        let part = &rest[..end];
        rest = &rest[end + LINE.len()..];
        part
    })
}

/// The lines of a part, without their ends.
fn lines(part: &[u8]) -> impl Iterator<Item = &[u8]> {
    part.split(|&byte| byte == b'\n')
}

thread_local! {
    static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread")
    );
}

/// Runs to the end on this thread, so that its time can be measured here.
fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with_borrow_mut(|runtime| runtime.block_on(future))
}
