//! `waxseal config init`: the five-minute start. All or nothing: what exists is never overwritten, and what was made is
//! taken back where a later step fails.

use super::{Exit, Mistake, told};
use crate::{
    cli::{
        keygen, output,
        publish::{self, Look, Place},
    },
    config::{DEFAULT_FILE, Listener, Settings, key_file_name},
    dkim::KeyType,
    key::Record,
    name::DomainName,
    provider::DEFAULT_PROVIDER,
};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    /// The domain that signs
    #[arg(long, value_name = "NAME", value_parser = publish::name)]
    domain: DomainName,
    #[command(flatten)]
    place: Place,
    /// The folder for waxseal.toml and keys/
    #[arg(long, value_name = "DIR", default_value = "/etc/waxseal")]
    dir: PathBuf,
    #[command(flatten)]
    look: Look,
}

/// Files and folders that were made; removed again unless [`Made::keep`] is called.
#[derive(Default)]
struct Made(Vec<PathBuf>);

/// Writes settings and key, and says what is left to do.
pub fn run(options: Options) -> Result<Exit, Mistake> {
    let (domain, place) = (&options.domain, &options.place);
    let chosen = place.choose()?;
    let file = options.dir.join("waxseal.toml");
    let keys = options.dir.join("keys");
    let key = keys.join(key_file_name(domain, &chosen.selector));
    keygen::refuse_existing(&file)?;
    keygen::refuse_existing(&key)?;
    let name = publish::record_name(&chosen.selector, domain)?;
    let look_note = options.look.at(&name)?;

    let mut made = Made::default();
    made.folders(&keys)?;
    let new = keygen::make_key(&key, KeyType::Rsa)?;
    made.0.push(key.clone());
    let text = settings(domain, place, &chosen.selector);
    made.file(&file, &text)?;
    let absolute = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
    let judged = Settings::parse(&text, &absolute).and_then(|settings| settings.check_keys());
    judged.map_err(told)?;
    made.keep();

    let record = Record { name, value: new.key.public_record() };
    let told = format!(
        "settings in {}\n{}\n\n\
         1. Publish this record at {}, type TXT, one record, in the form that your DNS takes\n\n{}\n\
         2. Add these lines to main.cf of Postfix, and run: postfix reload\n\n{}\n\
         3. Start the milter: waxseal run{}\n",
        file.display(),
        keygen::describe(&key, &new.key),
        record.name,
        publish::all_forms(&record),
        main_cf(),
        config_argument(&file)
    );
    let written = output::write(told);
    for note in look_note.into_iter().chain(publish::notes(&chosen)).chain(keygen::owner_note(&key)) {
        output::say(format_args!("note: {note}"));
    }
    written.map(|()| Exit::Good).map_err(|mistake| {
        let mistake = Mistake::new(format!("{mistake}\nthe settings were written to {}", file.display()));
        keygen::kept(&mistake, &key, &record)
    })
}

/// The settings file: only what is not a default.
fn settings(domain: &DomainName, place: &Place, selector: &DomainName) -> String {
    let mut text = String::from(
        "# The settings of Waxseal. All others have their defaults: `waxseal config show` lists them, and\n\
         # conf/waxseal.toml of the sources says what each is for.\n\n",
    );
    if let Some(directory) = &place.provider_directory {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
        let directory = toml::Value::String(directory.display().to_string());
        text += &format!("provider_directory = {directory}\n\n");
    }
    text += &format!("[domains.\"{domain}\"]\n");
    match (&place.environment, &place.region) {
        (Some(environment), Some(region)) => {
            let provider = place.provider.as_deref().unwrap_or(DEFAULT_PROVIDER);
            for (name, value) in [("provider", provider), ("environment", environment), ("region", region)] {
                text += &format!("{name} = \"{}\"\n", value.to_ascii_lowercase());
            }
        }
        _ => text += &format!("selector = \"{selector}\"\n"),
    }
    text
}

/// The lines for main.cf, with the reason of each.
fn main_cf() -> String {
    let socket = Listener::default().socket;
    format!(
        "# Mail that comes in by SMTP: signed for your users, verified for all others.\n\
         smtpd_milters = {socket}\n\
         # Mail that starts here: sendmail(1), forwards, and the bounces that Postfix makes.\n\
         non_smtpd_milters = {socket}\n\
         internal_mail_filter_classes = bounce\n\
         # While the milter is away, mail waits; it never leaves unsigned.\n\
         milter_default_action = tempfail\n"
    )
}

fn config_argument(file: &Path) -> String {
    if file == Path::new(DEFAULT_FILE) { String::new() } else { format!(" --config {}", file.display()) }
}

impl Made {
    /// Makes the folder of the keys for its owner alone, and the one around it, noting those that did not exist.
    fn folders(&mut self, keys: &Path) -> Result<(), Mistake> {
        let missing: Vec<_> =
            keys.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
        let around = keys.parent().unwrap_or(Path::new("."));
        self.0.extend(missing.into_iter().rev().map(Path::to_owned));
        fs::create_dir_all(around)
            .map_err(|error| Mistake::new(format!("{} cannot be made: {error}", around.display())))?;
        keygen::make_folder(keys)
    }

    fn file(&mut self, path: &Path, text: &str) -> Result<(), Mistake> {
        let failed = |error: std::io::Error| Mistake::new(format!("{} cannot be written: {error}", path.display()));
        let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
        self.0.push(path.to_owned());
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // The mistake that led here is what matters; a folder that is no longer empty stays.
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
    }
}
