//! The whole file into [`Settings`]: one function a table, each reading top to bottom.

use super::{
    Limits, Log, MAX_CONNECTIONS, Mistake, Mistakes, Settings, Shown, Signing,
    defaults::{DRAIN_RANGE, EXPIRE_RANGE, IDLE_RANGE, KEY_DIRECTORY, NEVER_SIGNED},
    domain, http, kind, listener,
    reader::{Reader, Section},
    rotation, signed, store, verify,
};
use crate::provider::Profiles;
use std::{collections::HashMap, path::Path, sync::Arc};
use toml::de::DeTable;

/// No header of real mail is longer than this allows for, in octets; less would refuse ordinary mail.
const LEAST_HEADER_BYTES: usize = 64 * 1024;

/// Reads a settings file; with `show`, every setting with its origin too.
pub(super) fn read(text: &str, file: &Path, show: bool) -> Result<(Settings, Vec<Shown>), Mistakes> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(text, file, show);
    for error in errors {
        reader.mistake(error.span(), error.message().replace('\n', ", "));
    }
    // What cannot be read as TOML would only seem to lack settings that are there.
    Mistakes::none_or(std::mem::take(&mut reader.mistakes))?;
    let mut root = Section::root(&table);
    let settings = all(&mut reader, &mut root, file);
    root.finish(&mut reader);
    reader.judge_unknown_names();
    Mistakes::none_or(reader.mistakes)?;
    Ok((settings, reader.shown.unwrap_or_default()))
}

fn all(reader: &mut Reader<'_>, root: &mut Section<'_>, file: &Path) -> Settings {
    let defaults = Settings::default();
    let key_directory = root.path(reader, "key_directory", reader.resolve(KEY_DIRECTORY));
    let provider_directory = root.value(reader, "provider_directory", &kind::TEXT, String::new());
    let provider_directory = (!provider_directory.is_empty()).then(|| reader.resolve(&provider_directory));
    let profiles = match &provider_directory {
        None => defaults.profiles,
        Some(directory) => Profiles::with_directory(directory).unwrap_or_else(|mistakes| {
            reader.mistakes.extend(mistakes.into_iter().map(Mistake::from));
            defaults.profiles
        }),
    };
    let trusted_networks = root.value(reader, "trusted_networks", &kind::NETWORKS, defaults.trusted_networks);
    let signing = signing(reader, root);
    let verify = verify::read(reader, root);
    let listeners = listener::all(reader, root, signing.outbound_mark.is_some());
    let log = log(reader, root);
    let store = store::read(reader, root);
    let signed = signed::read(reader, root);
    let http = http::read(reader, root);
    let watch = watch(reader, root);
    let rotation = rotation::read(reader, root);
    let limits = limits(reader, root);
    let domains = domain::all(reader, root, &profiles, &key_directory);
    Settings {
        file: Some(file.to_owned()),
        listeners,
        trusted_networks,
        signing,
        verify,
        domains,
        key_directory,
        provider_directory,
        profiles,
        log,
        store,
        signed,
        http,
        watch,
        rotation,
        rotations: Vec::new(),
        configured: HashMap::new(),
        limits,
    }
}

fn signing(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Signing {
    let defaults = Signing::default();
    let mut section = root.table_or_empty(reader, "signing");
    let canonicalization = section.value(reader, "canonicalization", &kind::CANON, defaults.canonicalization);
    let fields = section.value(reader, "fields", &kind::FIELDS, defaults.fields);
    let oversign = section.value(reader, "oversign", &kind::FIELDS, defaults.oversign);
    let expire = section.value(reader, "expire", &kind::EXPIRE, defaults.expire);
    let diagnostics = section.value(reader, "diagnostics", &kind::DIAGNOSTICS, defaults.diagnostics);
    let sender = section.value(reader, "sender", &kind::SENDER, defaults.sender);
    let inbound_mark = section.value(reader, "inbound_mark", &kind::MARK, defaults.inbound_mark);
    let outbound_mark = section.value(reader, "outbound_mark", &kind::SECRET_MARK, defaults.outbound_mark);
    let when_not_ready = section.value(reader, "when_not_ready", &kind::WHEN_NOT_READY, defaults.when_not_ready);

    for field in fields.iter().filter(|field| NEVER_SIGNED.contains(&&***field)) {
        let why = format!(
            "signing.fields: {field:?} is added or changed on the way, which would break the signature; remove it"
        );
        reader.mistake(section.span_of("fields"), why);
    }
    for field in oversign.iter() {
        if field.starts_with("list-") {
            let why = format!(
                "signing.oversign: {field:?} would make every mailing list that adds its own break the signature; \
                 keep it in fields alone"
            );
            reader.mistake(section.span_of("oversign"), why);
        } else if !fields.contains(field) && &**field != "from" {
            // With a list of fields of the operator's own, what the default oversigns beyond it is simply not signed.
            if section.has("oversign") {
                let why = format!("signing.oversign: {field:?} is not among signing.fields; add it there");
                reader.mistake(section.span_of("oversign"), why);
            }
        }
    }
    let oversign = oversign.iter().filter(|field| fields.contains(field) || &***field == "from").cloned().collect();
    let signing = Signing {
        canonicalization,
        fields: with_from(fields),
        oversign,
        expire,
        diagnostics,
        sender,
        inbound_mark,
        outbound_mark,
        when_not_ready,
    };
    if let Some(expire) = signing.expire {
        reader.within(&section, "expire", expire, EXPIRE_RANGE);
    }
    outbound_mark_is_free(reader, &section, &signing);
    section.finish(reader);
    signing
}

/// The outbound mark is removed after the signature was made, so it must be a field that nothing else depends on.
fn outbound_mark_is_free(reader: &mut Reader<'_>, section: &Section<'_>, signing: &Signing) {
    let Some((name, _)) = &signing.outbound_mark else { return };
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let why = if signing.fields.iter().any(|field| is(field)) {
        format!(
            "{name:?} is a field that is signed (signing.fields), and the mark is removed from signed mail, which would \
             break the signature; take a name that nothing else has, as \"X-Waxseal-Outbound\""
        )
    } else if NEVER_SIGNED.iter().any(|field| is(field)) {
        format!(
            "{name:?} is a field that mail systems write and need, and the mark is removed; take a name that nothing \
             else has, as \"X-Waxseal-Outbound\""
        )
    } else if signing.inbound_mark.as_ref().is_some_and(|(inbound, _)| is(inbound)) {
        format!("{name:?} is the name of inbound_mark too; give it another")
    } else {
        return;
    };
    reader.mistake(section.span_of("outbound_mark"), format!("signing.outbound_mark: {why}"));
}

/// From is signed, whatever the settings say (RFC 6376 §5.4).
fn with_from(fields: Arc<[Box<str>]>) -> Arc<[Box<str>]> {
    if fields.iter().any(|field| &**field == "from") {
        return fields;
    }
    std::iter::once(Box::from("from")).chain(fields.iter().cloned()).collect()
}

fn log(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Log {
    let defaults = Log::default();
    let mut section = root.table_or_empty(reader, "log");
    let log = Log {
        json: section.value(reader, "format", &kind::FORMAT, defaults.json),
        level: section.value(reader, "level", &kind::LEVEL, defaults.level),
    };
    section.finish(reader);
    log
}

fn watch(reader: &mut Reader<'_>, root: &mut Section<'_>) -> bool {
    let mut section = root.table_or_empty(reader, "watch");
    let enabled = section.value(reader, "enabled", &kind::BOOL, Settings::default().watch);
    section.finish(reader);
    enabled
}

fn limits(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Limits {
    let defaults = Limits::default();
    let mut section = root.table_or_empty(reader, "limits");
    let limits = Limits {
        connections: section.value(reader, "connections", &kind::NUMBER, defaults.connections),
        idle: section.value(reader, "idle", &kind::DURATION, defaults.idle),
        drain: section.value(reader, "drain", &kind::DURATION, defaults.drain),
        header_bytes: section.value(reader, "header_bytes", &kind::NUMBER, defaults.header_bytes),
    };
    if limits.connections == 0 {
        reader.mistake(section.span_of("connections"), "limits.connections: 0 would serve nobody; at least 1");
    }
    reader.within(&section, "idle", limits.idle, IDLE_RANGE);
    reader.within(&section, "drain", limits.drain, DRAIN_RANGE);
    if limits.connections > MAX_CONNECTIONS {
        let why = format!(
            "limits.connections: {} is more than a process can have open; a number from 1 to {MAX_CONNECTIONS}",
            limits.connections
        );
        reader.mistake(section.span_of("connections"), why);
    }
    if limits.header_bytes < LEAST_HEADER_BYTES {
        let why = format!(
            "limits.header_bytes: {} would refuse ordinary mail; at least {LEAST_HEADER_BYTES}",
            limits.header_bytes
        );
        reader.mistake(section.span_of("header_bytes"), why);
    }
    section.finish(reader);
    limits
}
