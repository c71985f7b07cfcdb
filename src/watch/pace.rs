//! How fast may be asked: no more than so many questions in any second, whoever asks.

use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions in any second: a resolver does not notice it, and ten thousand records are asked for in ten minutes.
pub(super) const A_SECOND: u32 = 20;

/// Gives turns.
#[derive(Clone, Debug)]
pub(super) struct Pace(Arc<Semaphore>);

/// Leave to ask some questions; it counts until a second after it was given back, so that no second sees more.
pub(super) struct Turn(Option<OwnedSemaphorePermit>);

impl Default for Pace {
    fn default() -> Pace {
        Pace(Arc::new(Semaphore::new(A_SECOND as usize)))
    }
}

impl Pace {
    /// Waits until so many questions may be asked, at most [`A_SECOND`]. First come, first served.
    pub(super) async fn turn(&self, questions: u32) -> Turn {
        Turn(self.0.clone().acquire_many_owned(questions.min(A_SECOND)).await.ok())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let permit = self.0.take();
        // Outside of a runtime nobody asks any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn no_second_sees_more_questions_than_allowed() {
        let (pace, start) = (Pace::default(), Instant::now());
        let mut asked = Vec::new();
        for number in 0..100 {
            let questions = if number % 10 == 0 { 12 } else { 1 };
            let turn = pace.turn(questions).await;
            // A diagnosis takes its time, and may ask at any moment of it.
            tokio::time::sleep(Duration::from_millis(u64::from(questions) * 50)).await;
            asked.extend(std::iter::repeat_n(start.elapsed(), questions as usize));
            drop(turn);
        }
        for at in &asked {
            let in_a_second = asked.iter().filter(|other| *other >= at && **other - *at < Duration::from_secs(1));
            assert!(in_a_second.count() <= A_SECOND as usize, "{at:?}");
        }
        let slowest = Duration::from_secs(asked.len() as u64 / u64::from(A_SECOND) * 3);
        assert!(start.elapsed() < slowest, "{:?}", start.elapsed());
    }
}
