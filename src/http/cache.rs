//! What a page shows, found off the mail path by one at a time, kept for some seconds, and waited for with a limit.
//!
//! However many ask, the store has one question of ours at a time. What takes too long goes on without whoever asked,
//! who is shown what was found before, or nothing.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

/// How long something found is shown again.
const FRESH: Duration = Duration::from_secs(5);
/// How long somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

type Found<T> = Option<(Instant, Arc<T>)>;

/// One thing that is found again and again.
pub(super) struct Cache<T> {
    found: watch::Sender<Found<T>>,
    working: Arc<Semaphore>,
}

impl<T> Default for Cache<T> {
    fn default() -> Cache<T> {
        Cache { found: watch::Sender::new(None), working: Arc::new(Semaphore::new(1)) }
    }
}

impl<T: Send + Sync + 'static> Cache<T> {
    /// What `find` finds, or found some seconds ago; `None` where it did not come to an end yet, and never has. It may
    /// block.
    pub(super) async fn get(&self, find: impl FnOnce() -> T + Send + 'static) -> Option<Arc<T>> {
        let fresh = |found: &Found<T>| found.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH);
        let mut seen = self.found.subscribe();
        if !fresh(&seen.borrow())
            && let Ok(place) = self.working.clone().try_acquire_owned()
        {
            let found = self.found.clone();
            tokio::task::spawn_blocking(move || {
                found.send_replace(Some((Instant::now(), Arc::new(find()))));
                drop(place);
            });
        }
        let _ = tokio::time::timeout(PATIENCE, seen.wait_for(fresh)).await;
        let last = self.found.borrow();
        last.as_ref().map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    #[tokio::test]
    async fn one_looks_and_all_are_told() {
        let (cache, looks) = (Cache::default(), Arc::new(AtomicUsize::new(0)));
        let look = || {
            let looks = looks.clone();
            cache.get(move || looks.fetch_add(1, Ordering::Relaxed))
        };
        let (one, two, three) = tokio::join!(look(), look(), look());
        assert_eq!((one.as_deref(), two.as_deref(), three.as_deref()), (Some(&0), Some(&0), Some(&0)));
        assert_eq!(looks.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_what_was_found_is_shown_meanwhile() {
        let cache = Cache::default();
        let (go_on, wait) = mpsc::channel::<()>();
        let stuck = cache.get(move || {
            let _ = wait.recv();
            1
        });
        assert_eq!(stuck.await, None, "it goes on without us");
        assert_eq!(cache.get(|| 2).await, None, "and nobody begins beside it");
        drop(go_on);
        let mut seen = cache.found.subscribe();
        seen.wait_for(Option::is_some).await.expect("found");
        assert_eq!(cache.get(|| 3).await.as_deref(), Some(&1));
        tokio::time::advance(FRESH).await;
        assert_eq!(cache.get(|| 4).await.as_deref(), Some(&4));
    }
}
