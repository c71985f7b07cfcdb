//! Work that waits for DNS, begun at once: what the cache can answer is done on the spot, and only what must wait gets a
//! task of its own. A task costs two wake-ups of threads, more than the answers of a message that the cache knows.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};
use tokio::task::JoinSet;

/// A value that is there already, or comes later. Dropped, it ends the work.
pub struct Early<T>(State<T>);

enum State<T> {
    /// In a box, so that what waits for it stays small.
    Done(Box<T>),
    Waiting(JoinSet<T>),
}

impl<T: Send + 'static> Early<T> {
    /// Begins the work. Inside a runtime only.
    pub fn begin(work: impl Future<Output = T> + Send + 'static) -> Early<T> {
        let mut work: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(work);
        // Whoever it waits for is told the right waker when the task looks for the first time.
        match pin!(&mut work).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Early(State::Done(Box::new(value))),
            Poll::Pending => {
                let mut waiting = JoinSet::new();
                waiting.spawn(work);
                Early(State::Waiting(waiting))
            }
        }
    }

    /// Waits for it. `None` if the task died.
    pub async fn finish(self) -> Option<T> {
        match self.0 {
            State::Done(value) => Some(*value),
            State::Waiting(mut waiting) => waiting.join_next().await?.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_is_there_needs_no_task_and_what_waits_is_woken() {
        let done = Early::begin(async { 7 });
        assert!(matches!(done.0, State::Done(_)));
        assert_eq!(done.finish().await, Some(7));
        let (sender, receiver) = oneshot::channel();
        let later = Early::begin(receiver);
        assert!(matches!(later.0, State::Waiting(_)));
        sender.send(8).expect("somebody waits");
        assert_eq!(later.finish().await, Some(Ok(8)));
        let dies = Early::begin(async {
            tokio::task::yield_now().await;
            panic!("a task that dies");
        });
        assert_eq!(dies.finish().await, None::<()>);
    }
}
