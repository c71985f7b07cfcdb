//! Lines of the log on their way out: they gather for a moment, and a thread of their own writes them all at once.
//!
//! Whoever has a line to write never waits: when the reader stalls or is gone, lines are dropped and mail goes on. A kill
//! loses what gathered in the last milliseconds.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Octets that may wait for their reader.
const MOST_WAITING: usize = 4 * 1024 * 1024;
/// How long the first line waits for others: to wake the thread for each line costs more than to write it.
const GATHER: Duration = Duration::from_millis(5);
/// How long the reader has at the end.
const CLOSING: Duration = Duration::from_secs(1);
/// The buffer goes back to this size once a flood is over.
const USUAL: usize = 64 * 1024;

/// Takes lines; clones go to the same place.
#[derive(Clone)]
pub struct Lines(Arc<Queue>);

/// Writes what still waits when it is dropped, for a second at most.
pub struct Guard(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    woken: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct Waiting {
    octets: Vec<u8>,
    closing: bool,
    ended: bool,
}

/// Lines that go to `to`, on a thread of their own.
pub fn to(mut to: impl Write + Send + 'static) -> (Lines, Guard) {
    let queue = Arc::new(Queue::default());
    let work = queue.clone();
    let started = thread::Builder::new().name("log".into()).spawn(move || {
        work.write_to(&mut to);
        work.lock().ended = true;
        work.ended.notify_all();
    });
    // Without a thread nobody can be told so either.
    queue.lock().ended = started.is_err();
    (Lines(queue.clone()), Guard(queue))
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // What a panicking thread left behind are still lines.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line, if there is room for it.
    fn take(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.octets.len() + line.len() > MOST_WAITING {
            return;
        }
        let wakes = waiting.octets.is_empty();
        waiting.octets.extend_from_slice(line);
        drop(waiting);
        if wakes {
            self.woken.notify_one();
        }
    }

    fn write_to(&self, to: &mut impl Write) {
        let mut lines = Vec::new();
        loop {
            let waiting = self.woken.wait_while(self.lock(), |waiting| waiting.octets.is_empty() && !waiting.closing);
            let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
            let gathered = self.woken.wait_timeout_while(waiting, GATHER, |waiting| !waiting.closing);
            let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut lines, &mut waiting.octets);
            drop(waiting);
            if lines.is_empty() {
                return;
            }
            // Nobody could be told of a log that cannot be written.
            let _ = to.write_all(&lines);
            lines.clear();
            lines.shrink_to(USUAL);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        self
    }
}

/// One call for each line.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.closing = true;
        self.0.woken.notify_all();
        let _ = self.0.ended.wait_timeout_while(waiting, CLOSING, |waiting| !waiting.ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A reader that takes what is written to it only when it is asked to.
    struct Stalled(mpsc::SyncSender<Vec<u8>>);

    impl Write for Stalled {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.send(octets.to_vec()).map_err(io::Error::other)?;
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_lines_come_in_order_and_whole_before_the_end() {
        let (sender, receiver) = mpsc::sync_channel(100_000);
        let (lines, guard) = to(Stalled(sender));
        let want: Vec<String> = (0..10_000).map(|at| format!("line {at}\n")).collect();
        want.iter().for_each(|line| (&lines).write_all(line.as_bytes()).expect("taken"));
        drop(guard);
        let writes: Vec<_> = receiver.try_iter().collect();
        assert_eq!(String::from_utf8(writes.concat()).expect("text"), want.concat());
        assert!(writes.len() < 5_000, "{} writes", writes.len());
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_holds_nobody_up() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let (lines, guard) = to(Stalled(sender));
        let line = [b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<u8>>();
        // Twice as much as may wait, and as much again as may be in the hands of the thread.
        for _ in 0..3 * MOST_WAITING / line.len() {
            (&lines).write_all(&line).expect("taken, or dropped");
        }
        let read = thread::spawn(move || receiver.iter().map(|octets| octets.len()).sum::<usize>());
        drop((lines, guard));
        let read = read.join().expect("read to the end");
        assert!((MOST_WAITING..=2 * MOST_WAITING).contains(&read) && read % line.len() == 0, "{read}");
    }

    #[test]
    fn a_reader_that_never_comes_back_does_not_hold_up_the_end() {
        let (sender, _receiver) = mpsc::sync_channel(0);
        let (lines, guard) = to(Stalled(sender));
        (&lines).write_all(b"line\n").expect("taken");
        drop(guard);
    }
}
