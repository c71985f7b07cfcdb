//! How fast may be asked: no more than so many packets in any second, whoever sends them.

use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Gives leave to send; clones share it.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Semaphore>);

/// Leave to send one packet. It counts until a second after it was given back, which is after the packet was sent: so no
/// second sees more, however late somebody sends.
pub struct Turn(Option<OwnedSemaphorePermit>);

impl Pace {
    /// So many packets in any second.
    pub fn new(a_second: usize) -> Pace {
        Pace(Arc::new(Semaphore::new(a_second)))
    }

    /// Waits until a packet may be sent. First come, first served.
    pub async fn turn(&self) -> Turn {
        Turn(self.0.clone().acquire_owned().await.ok())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let permit = self.0.take();
        // Outside of a runtime nobody sends any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(permit);
            });
        }
    }
}

/// Waits for a turn where there is a pace.
pub(super) async fn turn(pace: Option<&Pace>) -> Option<Turn> {
    match pace {
        Some(pace) => Some(pace.turn().await),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{task::JoinSet, time::Instant};

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_packets_than_allowed() {
        let (pace, start) = (Pace::new(20), Instant::now());
        let mut askers = JoinSet::new();
        for asker in 0..10 {
            let pace = pace.clone();
            askers.spawn(async move {
                let mut sent = Vec::new();
                for _ in 0..30 {
                    let turn = pace.turn().await;
                    // Who has leave may be slow to use it.
                    tokio::time::sleep(Duration::from_millis(asker * 30)).await;
                    sent.push(start.elapsed());
                    drop(turn);
                }
                sent
            });
        }
        let sent: Vec<Duration> = askers.join_all().await.concat();
        for at in &sent {
            let in_a_second = sent.iter().filter(|other| *other >= at && **other - *at < Duration::from_secs(1));
            assert!(in_a_second.count() <= 20, "{at:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(300 / 20 * 2), "{:?}", start.elapsed());
    }
}
