//! `/healthz`: could a message be handled now? Listeners, keys and DNS are looked at, and each that is not ready says why.
//!
//! Keys and DNS are looked at on the time of who asks, one at a time, and the answer holds for some seconds, so that many
//! who ask cost no more than one.

use crate::milter::View;
use std::time::Duration;
use tokio::{sync::Mutex, time::Instant};

/// How long an answer about the keys holds: an operator who has mended one wants to see it soon.
const KEYS_HOLD: Duration = Duration::from_secs(5);
/// How long an answer about DNS holds.
const DNS_HOLDS: Duration = Duration::from_secs(5);
/// How long the keys may take to be read, from a disk that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

type Judgement = Result<(), String>;

/// What was found last.
#[derive(Default)]
pub(super) struct Health {
    keys: Mutex<Option<(Instant, Judgement)>>,
    dns: Mutex<Option<(Instant, Judgement)>>,
}

impl Health {
    /// Is everything ready? And a line for each part.
    pub(super) async fn judge(&self, view: &View) -> (bool, String) {
        let (keys, dns) = tokio::join!(held(&self.keys, KEYS_HOLD, keys(view)), held(&self.dns, DNS_HOLDS, view.dns()));
        let parts = [("listeners", view.listening()), ("keys", keys), ("dns", dns)];
        let ready = parts.iter().all(|(_, judgement)| judgement.is_ok());
        let mut text = String::from(if ready { "ready\n" } else { "not ready\n" });
        for (part, judgement) in parts {
            let found = judgement.err().unwrap_or_else(|| "ready".into());
            text.push_str(&format!("{part}: {found}\n"));
        }
        (ready, text)
    }
}

/// What was found within the last so long, or what is found now.
async fn held(
    last: &Mutex<Option<(Instant, Judgement)>>,
    holds: Duration,
    find: impl Future<Output = Judgement>,
) -> Judgement {
    let mut last = last.lock().await;
    if let Some((at, judgement)) = &*last
        && at.elapsed() < holds
    {
        return judgement.clone();
    }
    let judgement = find.await;
    *last = Some((Instant::now(), judgement.clone()));
    judgement
}

async fn keys(view: &View) -> Judgement {
    let view = view.clone();
    let look = tokio::task::spawn_blocking(move || view.keys().map_err(|mistakes| mistakes.to_string()));
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(found)) => found.map_err(|text| match text.lines().count() {
            0 | 1 => text,
            // One is enough to act on; `waxseal config check` tells all.
            more => format!("{} (and {} more)", text.lines().next().unwrap_or_default(), more - 1),
        }),
        Ok(Err(_)) => Err("they could not be looked at".into()),
        Err(_) => Err(format!("they could not be read within {} s", PATIENCE.as_secs())),
    }
}
