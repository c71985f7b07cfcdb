//! Changes of DNS on their way: resolver against authoritative servers, and times to live.

use super::{
    case::{KeyCase, Oracle, ServerAnswer},
    finding::{Confidence, Effect, Finding},
    register::{delegation, propagation as causes},
    servers::{Table, Worth, content, is_answer, names, wait},
};
use crate::dns::{Data, Outcome, RecordType};
use std::cmp::Ordering;

/// Beyond a day a change takes too long for everybody, whatever the provider advises.
const LONGEST: u32 = 86_400;

/// Below a minute every message asks again.
const SHORTEST: u32 = 60;

/// The time to live of the key record, against the provider's advice where there is a provider.
pub fn time_to_live(key: &KeyCase<'_>) -> Option<Finding> {
    let asked = (key.name().to_ascii_lowercase(), RecordType::Txt);
    let mut servers = key.facts.known_servers(&asked).into_iter().flat_map(|servers| servers.serving());
    // A resolver's answer counts down: only the zone itself shows how low it was set.
    let own = servers.find(|server| server.answer.outcome == Outcome::Records).map(|server| &server.answer);
    let answer = own.unwrap_or(key.answer);
    let ttl = answer.records.iter().map(|record| record.ttl).max()?;
    let whole = answer.authoritative || answer.server.is_none();
    let (shortest, longest, whose) = match key.profile.and_then(|profile| Some((profile.ttl?, profile))) {
        Some((bounds, profile)) => (bounds.min, bounds.max, format!("{} advises", profile.title)),
        None => (SHORTEST, LONGEST, "is usual".to_owned()),
    };
    if ttl <= longest && (ttl >= shortest || !whole) {
        return None;
    }
    let claim = format!("the key record may be kept for {ttl} s; {whose} {shortest} to {longest}");
    Some(
        Finding::risk(&causes::TTL_OUT_OF_RANGE, Confidence::Certain, claim)
            .dns("the key record", answer)
            .fix(format!("set the time to live of {} to between {shortest} and {longest} s", key.name())),
    )
}

/// A change older than this has arrived wherever it was going to: the longest that providers tell people to wait.
const ARRIVED: u64 = 2 * 86_400;

/// What the servers of the zone and the resolver say differently.
pub fn findings(table: &Table<'_>) -> Vec<Finding> {
    if !is_answer(table.resolver()) || table.serving().next().is_none() {
        return Vec::new();
    }
    match differing(table) {
        Some((ahead, behind)) => {
            let alternate = alternate(table);
            [Some(servers_differ(table, ahead, behind)), alternate].into_iter().flatten().collect()
        }
        None => resolver_differs(table).into_iter().collect(),
    }
}

/// Two servers that answer differently: the one whose answer is worth more (or whose serial is higher), and the other.
fn differing<'a>(table: &Table<'a>) -> Option<(&'a ServerAnswer, &'a ServerAnswer)> {
    let best = table.serving().reduce(|best, other| {
        let rank = |server: &ServerAnswer| table.worth(&server.answer);
        match rank(other).cmp(&rank(best)) {
            Ordering::Greater => other,
            Ordering::Equal if is_newer(other, best) => other,
            _ => best,
        }
    })?;
    let other = table.serving().find(|server| said(server) != said(best))?;
    Some((best, other))
}

/// What counts when two servers are compared.
fn said(server: &ServerAnswer) -> (bool, Vec<Vec<u8>>, Vec<&Data>) {
    let aliases = server.answer.records.iter().map(|record| &record.data).filter(|data| matches!(data, Data::Cname(_)));
    (server.answer.is_negative(), content(&server.answer), aliases.collect())
}

/// Is its serial the higher one, in the arithmetic of serials (RFC 1982 §3.2)?
fn is_newer(server: &ServerAnswer, other: &ServerAnswer) -> bool {
    match (server.serial, other.serial) {
        (Some(one), Some(other)) => one != other && one.wrapping_sub(other) < 1 << 31,
        _ => false,
    }
}

/// Do the servers' differences explain the failure, or will they bite?
fn effect(table: &Table<'_>, best: Worth) -> Effect {
    let resolver = table.worth(table.resolver());
    if best > Worth::Wrong && resolver < best { Effect::Breaks } else { Effect::Risk }
}

fn servers_differ(table: &Table<'_>, best: &ServerAnswer, other: &ServerAnswer) -> Finding {
    let serial = |server: &ServerAnswer| server.serial.map_or(String::new(), |serial| format!(" (serial {serial})"));
    let what = match (best.answer.is_negative(), other.answer.is_negative()) {
        (false, true) => "does not have the record that",
        (true, false) => "still has a record that",
        _ => "has another record than",
    };
    let tail = match (best.answer.is_negative(), other.answer.is_negative()) {
        (true, false) => " no longer has",
        _ => " has",
    };
    let claim = format!("{}{} {what} {}{}{tail}", other.name, serial(other), best.name, serial(best));
    let effect = effect(table, table.worth(&best.answer));
    let finding = match lasting(table, best, other) {
        None => {
            let keep = table.resolver().records.iter().map(|record| record.ttl).max();
            let keep = keep.or(table.resolver().negative.as_ref().map(|(_, ttl)| *ttl));
            let then = keep.map(|keep| format!(", then {} more for what resolvers remember", wait(keep)));
            Finding::new(&causes::PROPAGATION_PENDING, effect, Confidence::Certain, claim)
                .fix(format!("wait until {} has the new state of the zone{}", other.name, then.unwrap_or_default()))
                .fix(format!("if that takes more than a day, mend the transfer of the zone to {}", other.name))
        }
        Some((confidence, why)) => {
            Finding::new(&delegation::AUTHORITATIVE_INCONSISTENT, effect, confidence, format!("{claim}: {why}"))
                .fix(format!("publish the same record at {} and {}", best.name, other.name))
                .fix(format!("if one copies from the other, mend the transfer of {}", table.servers.zone))
                .not(&causes::PROPAGATION_PENDING, why)
        }
    };
    table.shown(finding)
}

/// Why a difference will not pass by itself, if it will not.
fn lasting(table: &Table<'_>, best: &ServerAnswer, other: &ServerAnswer) -> Option<(Confidence, String)> {
    let (Some(one), Some(two)) = (best.serial, other.serial) else { return None };
    if one == two {
        return Some((
            Confidence::Certain,
            format!("both are at serial {one}, so that neither will copy from the other"),
        ));
    }
    if best.primary != other.primary {
        return Some((
            Confidence::Likely,
            "they name different primary servers, so that neither copies from the other".into(),
        ));
    }
    // Serials often are dates: then they tell how long ago the change was made.
    let made = made(if is_newer(best, other) { one } else { two })?;
    let age = table.key.at.checked_sub(made).filter(|age| *age > ARRIVED)?;
    Some((Confidence::Likely, format!("the serial says that the change was made {} days ago", age / 86_400)))
}

/// The day in a serial of the form YYYYMMDDnn, in seconds since 1970.
fn made(serial: u32) -> Option<u64> {
    let date = serial / 100;
    let [year, month, day] = [date / 10_000, date / 100 % 100, date % 100];
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let date = date.ok().filter(|date| date.year() >= 1990)?;
    let start = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(start.timestamp().as_second()).ok()
}

/// The right key at one server, and nothing or another one at the next: what a receiver gets is chance.
fn alternate(table: &Table<'_>) -> Option<Finding> {
    let worth = || table.serving().map(|server| table.worth(&server.answer));
    let (best, worst) = (worth().max()?, worth().min()?);
    if best <= Worth::Wrong || worst > Worth::Wrong {
        return None;
    }
    let good = table.serving().filter(|server| table.worth(&server.answer) == best);
    let bad = table.serving().filter(|server| table.worth(&server.answer) <= Worth::Wrong);
    let claim = format!("receivers that ask {} find the key, those that ask {} do not", names(good), names(bad));
    Some(
        table.shown(
            Finding::risk(&causes::RESULTS_ALTERNATE, Confidence::Certain, claim)
                .fix("make the name servers alike: the finding beside this one says how"),
        ),
    )
}

/// All servers say one thing, and the resolver another.
fn resolver_differs(table: &Table<'_>) -> Option<Finding> {
    let server = table.serving().next()?;
    if table.serving().all(|server| table.agrees(server)) {
        return None;
    }
    let (resolver, zone) = (table.resolver(), &table.servers.zone);
    if resolver.authoritative {
        let claim = format!(
            "the resolver has a zone of its own for {}, and it differs from that of {}",
            resolver.name,
            names(table.serving())
        );
        let finding = Finding::new(
            &delegation::SPLIT_HORIZON,
            effect(table, table.worth(&server.answer)),
            Confidence::Certain,
            claim,
        )
        .fix("publish the record in the internal zone too")
        .fix("or ask a resolver that sees the public zone: --resolver");
        return Some(table.shown(finding));
    }
    match (resolver.is_negative(), server.answer.is_negative()) {
        (true, false) => Some(forgotten(table, server, zone)),
        (false, true) => Some(removed(table)),
        (false, false) => Some(replaced(table, server)),
        (true, true) => None,
    }
}

/// The resolver says that there is nothing, and there is.
fn forgotten(table: &Table<'_>, server: &ServerAnswer, zone: &str) -> Finding {
    let resolver = table.resolver();
    let finding = match &resolver.negative {
        Some((owner, left)) if owner == zone || zone.ends_with(&format!(".{owner}")) => {
            let claim = format!(
                "the name servers have the record; the resolver remembers for {left} s more that there was none"
            );
            Finding::breaks(&causes::NEGATIVE_CACHE, Confidence::Certain, claim)
                .fix(format!("wait {}, then try again", wait(*left)))
                .fix("or flush the cache of the resolver, if it is yours")
                .not(&super::register::place::RECORD_NOT_FOUND, format!("{} has the record", server.name))
        }
        _ => {
            let claim =
                format!("{} has the record, and the resolver denies it without saying for how long", server.name);
            Finding::breaks(&causes::RESOLVER_DISAGREEMENT, Confidence::Likely, claim)
                .fix("ask another resolver: --resolver")
                .fix("find out what stands between the resolver and the name servers")
        }
    };
    table.shown(finding)
}

/// The servers have no record any more, and the resolver still gives its copy.
fn removed(table: &Table<'_>) -> Finding {
    let left = table.resolver().records.iter().map(|record| record.ttl).min().unwrap_or_default();
    let claim = format!("the name servers have no such record any more; the resolver gives its copy for {left} s more");
    // A signature that fails although a key is found does not fail by its absence.
    let effect = if matches!(table.key.oracle, Oracle::Signature(_)) { Effect::Risk } else { Effect::Breaks };
    table.shown(
        Finding::new(&causes::STALE_CACHE, effect, Confidence::Certain, claim)
            .fix(format!("publish the record at {} again", table.key.name())),
    )
}

/// The servers have another record than the resolver.
fn replaced(table: &Table<'_>, server: &ServerAnswer) -> Finding {
    let left = table.resolver().records.iter().map(|record| record.ttl).min().unwrap_or_default();
    let (resolver, servers) = (table.worth(table.resolver()), table.worth(&server.answer));
    let stale = |effect, confidence, claim: String| {
        Finding::new(&causes::STALE_CACHE, effect, confidence, claim)
            .fix(format!("wait at least {}, then try again", wait(left)))
            .fix("or flush the cache of the resolver, if it is yours")
    };
    let old = format!("the resolver gives an old record for {left} s more");
    let finding = match (resolver, servers) {
        (Worth::Nothing | Worth::Wrong | Worth::Sound, Worth::Right) => {
            stale(Effect::Breaks, Confidence::Certain, format!("{old}; the key at {} is the right one", server.name))
        }
        (Worth::Right, Worth::Nothing | Worth::Wrong) => {
            stale(Effect::Breaks, Confidence::Certain, format!("{old}; {} holds another by now", server.name))
                .fix(format!("publish the right record at {} again", table.key.name()))
        }
        (Worth::Nothing, Worth::Sound) => {
            stale(Effect::Breaks, Confidence::Likely, format!("{old}, which holds no key; {} has one", server.name))
        }
        _ => {
            let claim = format!("the resolver gives another record than {}", names(table.serving()));
            Finding::risk(&causes::RESOLVER_DISAGREEMENT, Confidence::Likely, claim)
                .fix(format!("ask again in {}: an old copy is gone by then", wait(left)))
                .fix("if they still differ, find out what stands between the resolver and the name servers")
        }
    };
    table.shown(finding)
}
