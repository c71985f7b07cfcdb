//! `waxseal keygen --rotate`: the next key of a domain staged, the switch ordered, or both taken back.
//!
//! What is decided here is written into the folder of the rotations (`config::Rotating`), where the milter sees it
//! without a reload; the settings file belongs to the operator and is not touched.

use super::{
    Exit, Mistake,
    keygen::{self, Format},
    output,
    publish::{self, Look},
};
use crate::{
    clock,
    config::{DEFAULT_FILE, Domain, KeyRef, Rotating, Settings, key_file_name},
    dkim::{KeyType, record::KeyRecord},
    dns::{Dns, live},
    inquire::everywhere::{self, Expected},
    key::{PrivateKey, Record},
    name::DomainName,
};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// The arguments.
#[derive(clap::Args)]
pub struct Order {
    /// Stage the next key of this domain of the settings: the milter signs with it once its record is seen everywhere
    #[arg(long, value_name = "DOMAIN", value_parser = publish::name, conflicts_with_all =
        ["domain", "environment", "region", "provider", "provider_directory", "out", "replace"])]
    pub rotate: Option<DomainName>,
    /// The settings of the domain that rotates
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE, requires = "rotate")]
    config: PathBuf,
    /// Stage it, and let it wait for --switch
    #[arg(long, requires = "rotate")]
    hold: bool,
    /// Stage the key file that is there already, as on a second host
    #[arg(long, requires_all = ["rotate", "selector"])]
    existing: bool,
    /// Switch to the staged key now, if its record is seen everywhere
    #[arg(long, requires = "rotate", conflicts_with_all = ["hold", "existing", "selector", "format", "abort", "dns"])]
    switch: bool,
    /// Give the rotation up; after the switch, go back to the old key, if its record is still seen everywhere
    #[arg(long, requires = "rotate", conflicts_with_all = ["hold", "existing", "selector", "format", "dns"])]
    abort: bool,
}

/// Does what was ordered for this domain.
pub fn run(
    order: &Order,
    domain: &DomainName,
    ed25519: bool,
    selector: Option<&DomainName>,
    format: Option<Format>,
    look: &Look,
) -> Result<Exit, Mistake> {
    let settings = super::load_settings(&order.config, |_| Ok(()))?;
    let kind = if ed25519 { KeyType::Ed25519 } else { KeyType::Rsa };
    let entry = settings.domains.get(domain).ok_or_else(|| not_configured(&settings, &order.config, domain))?;
    let key = entry.keys.iter().find(|key| key.algorithm == kind).ok_or_else(|| {
        Mistake::new(format!("{domain} has no {} key to rotate; make a first one with --domain", kind.as_str()))
    })?;
    let case = Case { settings: &settings, entry, key };
    match (order.switch, order.abort) {
        (true, _) => case.switch(look),
        (_, true) => case.abort(look),
        _ => case.stage(order, selector, format, look),
    }
}

fn not_configured(settings: &Settings, file: &Path, domain: &DomainName) -> Mistake {
    Mistake::new(match settings.domain_for(domain) {
        Some(above) => format!("the key of {0} signs for {domain}; rotate that: --rotate {0}", above.name),
        None => format!("{}: there is no [domains.\"{domain}\"], so nothing of it can be rotated", file.display()),
    })
}

/// A key that signs now, and what the settings say around it.
struct Case<'a> {
    settings: &'a Settings,
    entry: &'a Domain,
    key: &'a KeyRef,
}

impl Case<'_> {
    /// The rotation that is staged and has not switched.
    fn staged(&self) -> Option<&Rotating> {
        let own = |rotating: &&Rotating| rotating.algorithm == self.key.algorithm && rotating.switched.is_none();
        self.settings.rotations_of(&self.entry.name).find(own)
    }

    fn stage(
        &self,
        order: &Order,
        selector: Option<&DomainName>,
        format: Option<Format>,
        look: &Look,
    ) -> Result<Exit, Mistake> {
        let (domain, folder) = (&self.entry.name, &self.settings.rotation.path);
        if let Some(staged) = self.staged() {
            let keep = self.settings.rotation.keep;
            return Err(Mistake::new(format!(
                "{domain} {}; wait for it, or give it up: waxseal keygen --rotate {domain} --abort",
                staged.state(keep)
            )));
        }
        let to = match selector {
            Some(selector) => self.admit(selector)?.clone(),
            None => self.next_selector()?,
        };
        let name = publish::record_name(&to, domain)?;
        let path = self.settings.key_directory.join(key_file_name(domain, &to));
        let mut notes = Vec::new();
        if !order.existing {
            keygen::refuse_existing(&path)?;
            notes.extend(look.at(&name)?);
        }
        Rotating::prepare(folder).map_err(Mistake::new)?;
        let (described, value) = if order.existing {
            let key = PrivateKey::load(&path, &self.settings.key_directory, self.key.algorithm, None);
            let key = key.map_err(|mistake| Mistake::new(mistake.to_string()))?;
            (keygen::describe(&path, &key), key.public_record())
        } else {
            keygen::make_folder(&self.settings.key_directory)?;
            let new = keygen::make_key(&path, self.key.algorithm)?;
            (keygen::describe(&path, &new.key), new.key.public_record())
        };
        let record = Record { name, value };
        let rotating = Rotating {
            domain: domain.clone(),
            algorithm: self.key.algorithm,
            from: self.key.selector.clone(),
            to: to.clone(),
            staged: clock::unix_seconds(),
            hold: order.hold,
            switched: None,
            settled: false,
            told: None,
        };
        Rotating::update(folder, domain, &self.key.selector, |file| *file = Some(rotating))
            .map_err(|why| keygen::kept(&Mistake::new(format!("nothing was staged: {why}")), &path, &record))?;
        let written = match format {
            Some(format) => {
                output::say(described);
                output::write(record.write(format.form()) + "\n")
            }
            None => output::write(format!(
                "{described}\npublish at {}, type TXT, one record, beside that of {}, in the form that your DNS takes\n\n{}",
                record.name,
                self.key.selector,
                publish::all_forms(&record)
            )),
        };
        notes.push(match order.hold {
            true => format!("the milter goes on signing with {} until --switch says so", self.key.selector),
            false => format!(
                "the milter signs with {} until this record is seen everywhere, and then with {to}; nothing has to be \
                 reloaded",
                self.key.selector
            ),
        });
        if !self.settings.watch && !order.hold {
            notes.push("watch.enabled = false, so that nobody looks: switch with --switch".into());
        }
        for note in notes.into_iter().chain(keygen::owner_note(&path)) {
            output::say(format_args!("note: {note}"));
        }
        written.map_err(|mistake| keygen::kept(&mistake, &path, &record)).map(|()| Exit::Good)
    }

    /// May the next key have this selector?
    fn admit<'s>(&self, selector: &'s DomainName) -> Result<&'s DomainName, Mistake> {
        let domain = &self.entry.name;
        let refused = |why: String| Err(Mistake::new(format!("--selector {selector}: {why}")));
        if self.entry.keys.iter().any(|key| key.selector == *selector) {
            return refused(format!("{domain} signs under it; a new key needs a new name"));
        }
        if let Some((profile, _)) = self.settings.profiles.by_selector(selector) {
            return refused(format!("it is a selector of {}. {}", profile.name, FIXED));
        }
        let is_known = |rotating: &&Rotating| rotating.from == *selector || rotating.to == *selector;
        if let Some(known) = self.settings.rotations_of(domain).find(is_known) {
            return refused(format!("it was in use: {domain} {}", known.state(self.settings.rotation.keep)));
        }
        Ok(selector)
    }

    /// A selector like the one in use, with the year, and with the month and the day where that is taken.
    fn next_selector(&self) -> Result<DomainName, Mistake> {
        let (domain, current) = (&self.entry.name, self.key.selector.as_str());
        if let Some((profile, _)) = self.settings.profiles.by_selector(&self.key.selector) {
            return Err(Mistake::new(format!(
                "{domain} signs under {current}, a selector that {} prescribes. {FIXED}",
                profile.name
            )));
        }
        let stem = current.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        let stem = if stem.is_empty() { "s" } else { stem };
        let today = Timestamp::now();
        let is_free = |selector: &DomainName| {
            let path = self.settings.key_directory.join(key_file_name(domain, selector));
            self.admit(selector).is_ok() && path.symlink_metadata().is_err()
        };
        let dated = ["%Y", "%Y%m", "%Y%m%d"].map(|form| format!("{stem}{}", today.strftime(form)));
        let found = dated.iter().filter_map(|text| DomainName::new(text).ok()).find(is_free);
        found.ok_or_else(|| {
            Mistake::new(format!("{} are taken or too long; name a selector: --selector NAME", dated.join(", ")))
        })
    }

    fn switch(&self, look: &Look) -> Result<Exit, Mistake> {
        let (domain, rotation) = (&self.entry.name, &self.settings.rotation);
        let Some(staged) = self.staged() else {
            return Err(Mistake::new(format!(
                "nothing is staged for {domain}; it signs with {}; stage a key first: waxseal keygen --rotate {domain}",
                self.key.selector
            )));
        };
        let next = staged.next_key(&self.settings.key_directory);
        if let Err(why) = self.seen(&next, look)? {
            output::say(format_args!("not switched, {domain} signs with {}: {why}", staged.from));
            return Ok(Exit::Failed);
        }
        let changed = Rotating::update(&rotation.path, domain, &staged.from, |file| match file {
            Some(file) if file.to == staged.to => {
                file.switched.get_or_insert(clock::unix_seconds());
                Some(file.clone())
            }
            _ => None,
        });
        match changed.map_err(Mistake::new)? {
            Some(now) => output::write(format!("{domain} {}\n", now.state(rotation.keep))).map(|()| Exit::Good),
            None => Err(Mistake::new("the rotation was given up meanwhile; nothing was switched")),
        }
    }

    fn abort(&self, look: &Look) -> Result<Exit, Mistake> {
        let (domain, rotation) = (&self.entry.name, &self.settings.rotation);
        let last = self.settings.rotations_of(domain).find(|rotating| {
            rotating.algorithm == self.key.algorithm
                && rotating.to == self.key.selector
                && rotating.switched.is_some()
                && !rotating.settled
                && !self.settings.is_past(rotating)
        });
        let (given_up, told) = match (self.staged(), last) {
            (Some(staged), _) => {
                let key = staged.next_key(&self.settings.key_directory).path;
                let told = format!(
                    "given up: {domain} goes on signing with {}. The key in {} stays; remove it, and the record at {} if \
                     it was published",
                    staged.from,
                    key.display(),
                    staged.new_name()
                );
                (staged, told)
            }
            (None, Some(last)) => {
                let old = self.before(last);
                if let Err(why) = self.seen(&old, look)? {
                    output::say(format_args!("not gone back, {domain} signs with {}: {why}", last.to));
                    return Ok(Exit::Failed);
                }
                let told = format!(
                    "{domain} signs with {} again. Leave the record at {} for as long as mail signed with it is under way",
                    last.from,
                    last.new_name()
                );
                (last, told)
            }
            (None, None) => {
                return Err(Mistake::new(format!(
                    "{domain} signs with {} as the settings say, and no rotation of it is under way",
                    self.key.selector
                )));
            }
        };
        Rotating::update(&rotation.path, domain, &given_up.from, |file| *file = None).map_err(Mistake::new)?;
        output::write(told + "\n").map(|()| Exit::Good)
    }

    /// The key that signed before a rotation.
    fn before(&self, rotating: &Rotating) -> KeyRef {
        let configured = self.settings.configured.get(&rotating.domain);
        let own = configured.and_then(|entry| entry.keys.iter().find(|key| key.selector == rotating.from));
        own.cloned().unwrap_or_else(|| KeyRef {
            selector: rotating.from.clone(),
            path: self.settings.key_directory.join(key_file_name(&rotating.domain, &rotating.from)),
            algorithm: rotating.algorithm,
            required_bits: None,
        })
    }

    /// Is the record of this key seen everywhere, now? Else what stands in the way.
    fn seen(&self, key: &KeyRef, look: &Look) -> Result<Result<(), String>, Mistake> {
        let ours = match key.load(&self.settings.key_directory) {
            Ok(ours) => KeyRecord::read(ours.public_record().as_bytes()).key,
            Err(mistake) => return Ok(Err(mistake.to_string())),
        };
        let Some(ours) = ours else { return Ok(Err("the public half of the key cannot be read".into())) };
        let resolver = match look.resolver().or(self.settings.verify.resolver) {
            Some(server) => live::resolver(server),
            None => live::system().map_err(|mistake| Mistake::new(mistake.to_string()))?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Mistake::new(format!("the runtime cannot start: {error}")))?;
        let expected = Expected { domain: &self.entry.name, selector: &key.selector, key: &ours };
        let dns = Dns::new(resolver);
        Ok(runtime.block_on(everywhere::seen(&dns, &expected, clock::unix_seconds())).map(|_| ()))
    }
}

/// Why a key under a selector that a provider prescribes is not rotated.
const FIXED: &str = "Such a name cannot change, and one name cannot hold two keys. Go by way of a selector of your own:\n\
                     waxseal keygen --rotate DOMAIN --selector NAME stages that; two weeks after its switch, replace the \
                     record under the provider's selector, and name that again (docs/operations.md, A new key)";
