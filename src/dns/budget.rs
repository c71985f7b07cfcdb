//! What one message may ask: so many questions, and so much time to wait for answers.
//!
//! Every question counts, kept answers included, so that a verdict does not depend on what the cache happened to hold.
//! Time counts while a question is open and stands still while the message itself is awaited. Over the budget, nothing
//! is asked any more: [`Fault::Budget`].

use super::{Answer, Dns, Fault, Pending, RecordType, Source};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// The most questions of one message: RFC 7208 §4.6.4 alone permits about 111 to SPF.
pub const QUESTIONS: usize = 128;

/// The longest that one message waits for DNS in all: well below the 30 s that Postfix gives a milter.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A source for one message.
pub struct Budget {
    inner: Dns,
    spent: Mutex<Spent>,
    patience: Duration,
}

struct Spent {
    questions_left: usize,
    waited: Duration,
    open: usize,
    /// When the first of the open questions was asked.
    since: Instant,
}

impl Budget {
    /// Lets `questions` questions through to `inner`, and waits for them no longer than `patience` together.
    pub fn new(inner: Dns, questions: usize, patience: Duration) -> Budget {
        let spent = Spent { questions_left: questions, waited: Duration::ZERO, open: 0, since: Instant::now() };
        Budget { inner, spent: Mutex::new(spent), patience }
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        // Each change is complete before anything can panic.
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a question; gives the time that is left for it, or nothing if it may not be asked.
    fn open(&self) -> Option<(Open<'_>, Duration)> {
        let mut spent = self.spent();
        let now = Instant::now();
        if spent.open == 0 {
            spent.since = now;
        }
        let left = self.patience.saturating_sub(spent.waited + (now - spent.since));
        if left.is_zero() {
            return None;
        }
        spent.questions_left = spent.questions_left.checked_sub(1)?;
        spent.open += 1;
        Some((Open(self), left))
    }
}

/// An open question; closed when dropped, answered or not.
struct Open<'a>(&'a Budget);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut spent = self.0.spent();
        spent.open -= 1;
        if spent.open == 0 {
            let waited = spent.since.elapsed();
            spent.waited += waited;
        }
    }
}

impl Source for Budget {
    fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
        Box::pin(async move {
            let fault = match self.open() {
                None => Fault::Budget,
                Some((_open, left)) => match timeout(left, self.inner.query(name, kind)).await {
                    Ok(answer) => return answer,
                    // This one was sent: for it, nothing came in time.
                    Err(_) => Fault::Timeout,
                },
            };
            Arc::new(Answer::fault(name, kind, fault))
        })
    }

    fn resolvers(&self) -> Vec<SocketAddr> {
        self.inner.resolvers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Outcome, zone};
    use tokio::time::sleep;

    /// Answers after as many seconds as the first label says.
    struct Slow(Dns);

    impl Source for Slow {
        fn query<'a>(&'a self, name: &'a str, kind: RecordType) -> Pending<'a> {
            Box::pin(async move {
                let seconds = name.split('.').next().and_then(|label| label.parse().ok()).unwrap_or(0);
                sleep(Duration::from_secs(seconds)).await;
                self.0.query(name, kind).await
            })
        }
    }

    fn budget(questions: usize) -> Dns {
        let zone = zone::parse("*.example.com. TXT x\n", "zone").expect("a good zone");
        Dns::new(Budget::new(Dns::new(Slow(zone)), questions, Duration::from_secs(10)))
    }

    async fn ask(dns: &Dns, name: &str) -> Outcome {
        dns.query(name, RecordType::Txt).await.outcome.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn every_question_counts() {
        let dns = budget(3);
        for want in [Outcome::Records, Outcome::Records, Outcome::Records, Outcome::Fault(Fault::Budget)] {
            assert_eq!(ask(&dns, "0.example.com").await, want);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_time_spent_waiting_counts() {
        let dns = budget(100);
        assert_eq!(ask(&dns, "4.example.com").await, Outcome::Records);
        sleep(Duration::from_secs(3600)).await;
        // Two at once take as long as the longer one.
        let start = Instant::now();
        let both = tokio::join!(ask(&dns, "3.example.com"), ask(&dns, "5.example.com"));
        assert_eq!(both, (Outcome::Records, Outcome::Records));
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        // One second is left, even for a question that is given up by its asker.
        assert!(timeout(Duration::from_millis(500), ask(&dns, "9.example.com")).await.is_err());
        let start = Instant::now();
        assert_eq!(ask(&dns, "9.example.com").await, Outcome::Fault(Fault::Timeout));
        assert_eq!(start.elapsed(), Duration::from_millis(500));
        assert_eq!(ask(&dns, "0.example.com").await, Outcome::Fault(Fault::Budget));
    }
}
