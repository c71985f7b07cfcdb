//! The one task that carries rotations on: it sees what was staged, looks for the record of the new key, switches to it
//! once the record was seen everywhere for long enough, and says when the old one can go.
//!
//! What is known for good stands in the file of the rotation (`config::Rotating`); here is only when to look again, and
//! what was said already. A key never signs before it was written down that it does, and never stops because its record
//! is gone: that is for the watch to say, and for the operator to decide.

use crate::{
    clock,
    config::{Rotating, Settings},
    dkim::record::KeyRecord,
    dns::{Dns, RecordType},
    event::{Action, Direction, Event, Journal, SignatureEvent},
    inquire::everywhere::{self, Expected},
    name::DomainName,
};
use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep},
};

/// How often is looked whether somebody staged, switched or gave up a rotation: one system call.
const POLL: Duration = Duration::from_secs(5);

/// The pause after the first look that did not find the record everywhere; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often is looked whether the old record is gone, once it can go.
const GONE_AGAIN: Duration = Duration::from_secs(86_400);

/// What still stands in the way is said again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(7 * 86_400);

/// What rotations need of the settings in force.
pub trait Ground: Send + Sync {
    /// They.
    fn settings(&self) -> &Settings;
    /// Whom to ask, at the pace of the watch; `None` if nobody may be asked.
    fn dns(&self) -> Option<Dns>;
}

/// Puts the rotations that are written down now in force.
type PutInForce = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The task; dropping it ends it.
pub struct Rotor(JoinHandle<()>);

impl Drop for Rotor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Rotor {
    /// Begins, on behalf of this host; needs a tokio runtime.
    pub fn begin(
        current: impl Fn() -> Arc<dyn Ground> + Send + Sync + 'static,
        put_in_force: impl Fn() -> Result<(), String> + Send + Sync + 'static,
        journal: Journal,
        host: String,
    ) -> Rotor {
        let mut turns = Turns {
            current: Box::new(current),
            put_in_force: Arc::new(put_in_force),
            journal,
            host,
            stamp: None,
            ground: None,
            known: None,
            refused: None,
            under_way: HashMap::new(),
        };
        Rotor(tokio::spawn(async move {
            loop {
                turns.turn().await;
                sleep(turns.pause()).await;
            }
        }))
    }
}

/// A rotation by its domain and its two selectors.
type Name = (DomainName, DomainName, DomainName);

struct Turns {
    current: Box<dyn Fn() -> Arc<dyn Ground> + Send + Sync>,
    put_in_force: PutInForce,
    journal: Journal,
    host: String,
    /// When the folder was changed, as it was last read.
    stamp: Option<SystemTime>,
    /// The settings at the last turn.
    ground: Option<Arc<dyn Ground>>,
    /// The rotations at the last turn.
    known: Option<Vec<Rotating>>,
    /// Why what is written down could not be put in force, when that was said.
    refused: Option<String>,
    under_way: HashMap<Name, UnderWay>,
}

/// What is known of a rotation while the process lasts.
struct UnderWay {
    /// When to look again.
    due: Instant,
    /// Since when the record was seen everywhere, at every look.
    seen: Option<Instant>,
    /// Looks that did not see it so, one after the other.
    unseen: u32,
    /// What was said last, and when.
    said: Option<(String, Instant)>,
}

/// What came of a look at a rotation.
enum Turn {
    /// It waits for this.
    Waits(String),
    /// The record of its new key is seen everywhere.
    Seen,
    /// Its file has changed.
    Changed,
    /// There is nothing to do for so long.
    Rests(Duration),
}

impl Turns {
    /// Until the next turn.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let next = self.under_way.values().map(|one| one.due.saturating_duration_since(now)).min();
        next.unwrap_or(POLL).clamp(Duration::from_millis(100), POLL)
    }

    async fn turn(&mut self) {
        let rotations = self.take_in().await;
        let names: HashSet<Name> = rotations.iter().map(name).collect();
        self.under_way.retain(|name, _| names.contains(name));
        let ground = (self.current)();
        let is_same =
            self.ground.as_ref().is_some_and(|known| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(&ground)));
        if !is_same {
            // The settings may have followed.
            let settings = ground.settings();
            let followed =
                |rotating: &&Rotating| rotating.switched.is_some() && !rotating.settled && settings.is_past(rotating);
            for rotating in rotations.iter().filter(followed) {
                self.under_way.remove(&name(rotating));
            }
            self.ground = Some(ground);
        }
        for rotating in &rotations {
            let due = self.under_way.get(&name(rotating)).is_none_or(|one| one.due <= Instant::now());
            if due {
                let turn = self.look(rotating).await;
                self.conclude(rotating, turn).await;
            }
        }
    }

    /// The rotations in force, after what was written down since the last turn.
    async fn take_in(&mut self) -> Vec<Rotating> {
        let folder = (self.current)().settings().rotation.path.clone();
        let stamp = spawn_blocking(move || fs::metadata(folder).and_then(|facts| facts.modified()).ok());
        let stamp = stamp.await.ok().flatten();
        if self.known.is_none() || stamp != self.stamp || self.refused.is_some() {
            let put_in_force = self.put_in_force.clone();
            let done = spawn_blocking(move || put_in_force()).await;
            let done = done.unwrap_or_else(|_| Err("it ended with a fault of ours".into()));
            if let Err(why) = &done
                && self.refused.as_ref() != Some(why)
            {
                tracing::error!("what was written down of rotations is not in force: {why}");
            }
            (self.stamp, self.refused) = (stamp, done.err());
        }
        let ground = (self.current)();
        let settings = ground.settings();
        for rotating in &settings.rotations {
            let before = self.known.iter().flatten().find(|known| name(known) == name(rotating));
            if self.known.is_some()
                && rotating.switched.is_some()
                && before.is_none_or(|known| known.switched.is_none())
            {
                let state = rotating.state(settings.rotation.keep);
                self.tell(rotating, &rotating.to, "switched", state);
            }
        }
        self.known = Some(settings.rotations.clone());
        settings.rotations.clone()
    }

    async fn look(&self, rotating: &Rotating) -> Turn {
        let ground = (self.current)();
        let settings = ground.settings();
        if rotating.switched.is_none() {
            return self.look_at_new(&*ground, rotating).await;
        }
        if !rotating.settled && settings.is_past(rotating) {
            return self.change(rotating, |rotating| Some(Rotating { settled: true, ..rotating })).await;
        }
        let (now, until) = (clock::unix_seconds(), rotating.kept_until(settings.rotation.keep).unwrap_or_default());
        if rotating.told.is_none() && now < until {
            return Turn::Rests(Duration::from_secs(until - now).min(LONGEST_PAUSE));
        }
        let gone = match ground.dns() {
            None => false,
            Some(dns) => everywhere::is_gone(&*dns.query(&rotating.old_name(), RecordType::Txt).await),
        };
        match rotating.told {
            None => self.tell_of_old(rotating, gone, now).await,
            // The last word; while the settings still name the old selector, the file says which one signs.
            Some(_) if gone && rotating.settled => self.change(rotating, |_| None).await,
            Some(_) => Turn::Rests(GONE_AGAIN),
        }
    }

    async fn look_at_new(&self, ground: &dyn Ground, rotating: &Rotating) -> Turn {
        let settings = ground.settings();
        let entry = settings.domains.get(&rotating.domain);
        let key = entry.and_then(|entry| entry.keys.iter().find(|key| key.algorithm == rotating.algorithm));
        match key.map(|key| &key.selector) {
            Some(selector) if *selector == rotating.from => {}
            Some(selector) if *selector == rotating.to => {
                // The operator has named it: no turn of ours is needed.
                let switched = Some(clock::unix_seconds());
                return self.change(rotating, move |old| Some(Rotating { switched, settled: true, ..old })).await;
            }
            other => {
                let signs = other.map_or("nothing".to_owned(), ToString::to_string);
                let why = format!("the settings name {signs} in place of {}; stage it anew", rotating.from);
                return Turn::Waits(why);
            }
        }
        let Some(dns) = ground.dns() else {
            return Turn::Waits("nobody looks at records (watch.enabled = false)".into());
        };
        let (key, directory) = (rotating.next_key(&settings.key_directory), settings.key_directory.clone());
        let ours = match spawn_blocking(move || key.load(&directory)).await {
            Ok(Ok(key)) => KeyRecord::read(key.public_record().as_bytes()).key,
            Ok(Err(mistake)) => return Turn::Waits(mistake.to_string()),
            Err(_) => None,
        };
        let Some(ours) = ours else { return Turn::Waits("the new key could not be read".into()) };
        let expected = Expected { domain: &rotating.domain, selector: &rotating.to, key: &ours };
        match everywhere::seen(&dns, &expected, clock::unix_seconds()).await {
            Ok(_) => Turn::Seen,
            Err(why) => Turn::Waits(why),
        }
    }

    /// The old record has stayed for as long as it had to.
    async fn tell_of_old(&self, rotating: &Rotating, gone: bool, now: u64) -> Turn {
        let turn = self.change(rotating, move |old| Some(Rotating { told: Some(now), ..old })).await;
        if matches!(turn, Turn::Changed) {
            let name = rotating.old_name();
            let settings = match rotating.settled {
                true => String::new(),
                false => format!("; name {} in the settings in place of {}", rotating.to, rotating.from),
            };
            let what = match gone {
                true => format!("the record at {name} is gone, and is not needed any more{settings}"),
                false => format!("remove the record at {name}, or publish v=DKIM1; p= in its place{settings}"),
            };
            self.tell(rotating, &rotating.from, if gone { "gone" } else { "removable" }, what);
        }
        turn
    }

    /// Takes in what a look found.
    async fn conclude(&mut self, rotating: &Rotating, turn: Turn) {
        let (settle, now) = ((self.current)().settings().rotation.settle, Instant::now());
        let fresh = UnderWay { due: now, seen: None, unseen: 0, said: None };
        let mut one = self.under_way.remove(&name(rotating)).unwrap_or(fresh);
        let mut waits = None;
        match turn {
            Turn::Changed => one.due = now,
            Turn::Rests(pause) => one.due = now + pause,
            Turn::Waits(why) => waits = Some(why),
            Turn::Seen => {
                one.unseen = 0;
                let ready = *one.seen.get_or_insert(now) + settle;
                one.due = ready.min(now + LONGEST_PAUSE);
                if now >= ready && rotating.hold {
                    one.due = now + LONGEST_PAUSE;
                    let what = format!(
                        "its record is seen everywhere; `waxseal keygen --rotate {} --switch` switches to it",
                        rotating.domain
                    );
                    self.say(&mut one, rotating, what);
                } else if now >= ready {
                    let switched = Some(clock::unix_seconds());
                    match self.change(rotating, move |old| Some(Rotating { switched, ..old })).await {
                        Turn::Waits(why) => waits = Some(why),
                        Turn::Rests(pause) => one.due = now + pause,
                        Turn::Changed | Turn::Seen => one.due = now,
                    }
                }
            }
        }
        if let Some(why) = waits {
            one.seen = None;
            one.due = now + FIRST_PAUSE.saturating_mul(1 << one.unseen.min(16)).min(LONGEST_PAUSE);
            one.unseen = one.unseen.saturating_add(1);
            self.say(&mut one, rotating, why);
        }
        self.under_way.insert(name(rotating), one);
    }

    /// Writes a change down, unless somebody else was faster.
    async fn change(
        &self,
        rotating: &Rotating,
        change: impl FnOnce(Rotating) -> Option<Rotating> + Send + 'static,
    ) -> Turn {
        let folder = (self.current)().settings().rotation.path.clone();
        let known = rotating.clone();
        let written = spawn_blocking(move || {
            Rotating::update(&folder, &known.domain, &known.from, |file| {
                let is_known = file.as_ref() == Some(&known);
                if is_known {
                    *file = file.take().and_then(change);
                }
                is_known
            })
        });
        match written.await {
            Ok(Ok(true)) => Turn::Changed,
            Ok(Ok(false)) => Turn::Rests(POLL),
            Ok(Err(why)) => Turn::Waits(format!("it cannot be written down: {why}")),
            Err(_) => Turn::Waits("it cannot be written down".into()),
        }
    }

    /// Says what it waits for, once, and again where that takes long.
    fn say(&self, one: &mut UnderWay, rotating: &Rotating, what: String) {
        if one.said.as_ref().is_none_or(|(said, at)| *said != what || at.elapsed() >= SAY_AGAIN) {
            self.tell(rotating, &rotating.to, "staged", what.clone());
            one.said = Some((what, Instant::now()));
        }
    }

    fn tell(&self, rotating: &Rotating, selector: &DomainName, result: &str, reason: String) {
        let signature = SignatureEvent {
            domain: rotating.domain.to_string(),
            selector: selector.to_string(),
            algorithm: rotating.algorithm.algorithm().into(),
            result: result.into(),
            reason: Some(reason),
        };
        let event = Event {
            time: clock::timestamp(),
            host: self.host.clone(),
            action: Action::Watch,
            direction: Direction::Out,
            ..Event::default()
        };
        self.journal.write(event.with_signatures(vec![signature]));
    }
}

fn name(rotating: &Rotating) -> Name {
    (rotating.domain.clone(), rotating.from.clone(), rotating.to.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, dkim::KeyType};
    use std::path::Path;

    struct Plain(Settings);

    impl Ground for Plain {
        fn settings(&self) -> &Settings {
            &self.0
        }

        fn dns(&self) -> Option<Dns> {
            None
        }
    }

    /// A rotation that is staged, and who carries it on; what looks find is said by the test.
    struct Bench {
        folder: tempfile::TempDir,
        turns: Turns,
        staged: Rotating,
    }

    impl Bench {
        fn new(hold: bool) -> Bench {
            let folder = tempfile::tempdir().expect("a folder");
            let text = "rotation.path = \".\"\n[domains.\"example.com\"]\nselector = \"a\"\n";
            let settings = Settings::parse(text, &folder.path().join("waxseal.toml")).expect("settings");
            let name = |text: &str| DomainName::new(text).expect("a name");
            let staged = Rotating {
                domain: name("example.com"),
                algorithm: KeyType::Rsa,
                from: name("a"),
                to: name("b"),
                staged: 1,
                hold,
                switched: None,
                settled: false,
                told: None,
            };
            Rotating::update(folder.path(), &staged.domain, &staged.from, |file| *file = Some(staged.clone()))
                .expect("written");
            let ground = Arc::new(Plain(settings));
            let turns = Turns {
                current: Box::new(move || ground.clone()),
                put_in_force: Arc::new(|| Ok(())),
                journal: Journal::new(&config::Log { json: false, level: tracing::Level::ERROR }),
                host: "mx.example".into(),
                stamp: None,
                ground: None,
                known: None,
                refused: None,
                under_way: HashMap::new(),
            };
            Bench { folder, turns, staged }
        }

        /// Looks as often as it is due, for so many minutes, and finds this each time; how often that was.
        async fn finds(&mut self, minutes: u64, found: Option<&str>) -> usize {
            let (until, mut looks) = (Instant::now() + Duration::from_secs(minutes * 60), 0);
            while Instant::now() < until && !self.has_switched() {
                let turn = found.map_or(Turn::Seen, |why| Turn::Waits(why.to_owned()));
                self.turns.conclude(&self.staged, turn).await;
                looks += 1;
                tokio::time::sleep_until(self.turns.under_way[&name(&self.staged)].due.min(until)).await;
            }
            looks
        }

        fn has_switched(&self) -> bool {
            read(self.folder.path()).is_some_and(|rotating| rotating.switched.is_some())
        }
    }

    fn read(folder: &Path) -> Option<Rotating> {
        Rotating::read_all(folder).expect("good files").pop()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_record_that_was_seen_everywhere_for_an_hour_on_end_is_switched_to() {
        let mut bench = Bench::new(false);
        let looks = bench.finds(24 * 60, Some("ns2 does not have it")).await;
        assert!((250..320).contains(&looks), "{looks} looks in a day");
        bench.finds(59, None).await;
        assert!(!bench.has_switched(), "not yet");
        bench.finds(1, Some("ns2 does not answer")).await;
        bench.finds(59, None).await;
        assert!(!bench.has_switched(), "the hour begins anew");
        bench.finds(2, None).await;
        assert!(bench.has_switched());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_command_or_was_given_up_is_not_switched() {
        let mut bench = Bench::new(true);
        bench.finds(3 * 24 * 60, None).await;
        assert!(!bench.has_switched());
        let mut bench = Bench::new(false);
        bench.finds(30, None).await;
        let Rotating { domain, from, .. } = &bench.staged;
        Rotating::update(bench.folder.path(), domain, from, |file| *file = None).expect("given up");
        bench.finds(120, None).await;
        assert_eq!(read(bench.folder.path()), None, "nothing is written anew");
    }
}
