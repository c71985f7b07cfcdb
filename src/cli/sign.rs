//! `waxseal sign`: message in, signed message out.
//!
//! A message is read as the MTA would hand it over: line ends LF become CRLF, and nothing else is touched.
//! It is signed for the domain of its From field; what cannot be signed is a mistake and writes nothing.

use super::{Exit, Mistake, input, output};
use crate::{
    address, clock,
    config::{DEFAULT_FILE, Settings},
    dkim::write::FIELD_NAME,
    message::Message,
    sign::{Plan, Signature, keys::Keys},
    signed::{
        digests::Room,
        folder::{self, Writer},
        recorder::Recording,
    },
};
use std::path::PathBuf;

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// The settings
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// The message; standard input if absent or "-"
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    file: PathBuf,
}

/// Signs one message.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let settings = super::load_settings(&options.config, Settings::inspect_keys)?;
    let name = input::shown(&options.file);
    let received = input::read(&options.file).map_err(|error| Mistake::new(format!("{name}: {error}")))?;
    let signed =
        sign(&settings, &input::with_crlf(received)).map_err(|reason| Mistake::new(format!("{name}: {reason}")))?;
    output::write(signed).map(|()| Exit::Good)
}

/// The message with its signatures on top.
fn sign(settings: &Settings, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let message = Message::new(bytes);
    let author = address::author_domain(&message.header).map_err(|error| error.to_string())?;
    let domain = settings
        .domain_for(&author)
        .ok_or_else(|| format!("no key is configured for the From domain {author}; add [domains.\"{author}\"]"))?;
    let keys = Keys::default().of(domain, &settings.key_directory).map_err(|mistake| mistake.to_string())?;
    let plan = Plan::new(&settings.signing, domain);
    let mut hasher = plan.body_hasher();
    hasher.write(message.body);
    let signatures = plan
        .sign(&message.header, &hasher.finish(), &keys, clock::unix_seconds())
        .map_err(|refusal| refusal.to_string())?;
    if plan.diagnostics().record {
        record(settings, &plan, &message, &signatures);
    }
    let mut out = Vec::with_capacity(bytes.len() + 1024 * signatures.len());
    for signature in signatures {
        out.extend_from_slice(format!("{FIELD_NAME}:{}\r\n", signature.value).as_bytes());
    }
    out.extend_from_slice(bytes);
    Ok(out)
}

/// Adds the message to the record of what was signed. It is signed whatever becomes of that, which is said.
fn record(settings: &Settings, plan: &Plan, message: &Message<'_>, signatures: &[Signature]) {
    let signed = &settings.signed;
    let written = folder::key(&signed.path).and_then(|key| {
        let mut recording = Recording::begin(key, plan.canonicalization(), Room::default())?;
        recording.write(message.body);
        let now = clock::unix_seconds();
        let entry = recording.finish(plan, &message.header, signatures, now);
        Writer::new(&signed.path, signed.keep.as_secs(), signed.max_bytes).append(&entry.write(), now)
    });
    if let Err(error) = written {
        eprintln!("waxseal: signed, but not recorded: {}: {error}", signed.path.display());
    }
}
