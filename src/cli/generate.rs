//! `waxseal generate`: manual pages and shell completions, written from the grammar of the command line.
//!
//! For packages, and for whoever installs without one. The pages are those of the commands, in section 1, and
//! `waxseal.toml(5)`, which is conf/waxseal.toml as it stands.

use super::{Exit, Mistake, output};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::{fs, io::Write, path::Path, path::PathBuf};

/// Every setting with its default and its reason.
const SETTINGS: &str = include_str!("../../conf/waxseal.toml");

/// The arguments.
#[derive(clap::Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The manual pages, a file each, into a folder that exists
    Man {
        /// The folder
        directory: PathBuf,
    },
    /// The completions for a shell, to standard output
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Writes them.
pub fn run(options: Options, grammar: &Command) -> Result<Exit, Mistake> {
    match options.what {
        What::Man { directory } => {
            manual(&directory, grammar).map_err(|error| Mistake::new(format!("{}: {error}", directory.display())))?;
        }
        What::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut grammar.clone(), "waxseal", &mut script);
            output::write(script)?;
        }
    }
    Ok(Exit::Good)
}

/// The pages of all commands, and that of the settings.
fn manual(directory: &Path, grammar: &Command) -> std::io::Result<()> {
    let mut grammar = grammar.clone().disable_help_subcommand(true);
    grammar.build();
    pages(directory, &grammar, "waxseal")?;
    write(directory, "waxseal.toml.5", |out| settings().to_writer(out))
}

/// The page of a command, `waxseal-config-init.1`, and those below it.
fn pages(directory: &Path, command: &Command, name: &str) -> std::io::Result<()> {
    let page = Man::new(command.clone().display_name(name.to_owned())).title(name.to_uppercase()).manual("Waxseal");
    write(directory, &format!("{name}.1"), |mut out| {
        page.render(&mut out)?;
        common().to_writer(out)
    })?;
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    shown.into_iter().try_for_each(|below| pages(directory, below, &format!("{name}-{}", below.get_name())))
}

fn write(
    directory: &Path,
    file: &str,
    render: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut page = Vec::new();
    render(&mut page)?;
    fs::write(directory.join(file), page)
}

/// What ends the page of every command.
fn common() -> Roff {
    let mut page = Roff::default();
    page.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in [
        ("0", "Nothing failed."),
        ("1", "Something failed: a message does not authenticate, a domain is not ready."),
        ("2", "A mistake in arguments, settings or files; standard error names the thing, the place and the fix."),
        ("75", "A temporary fault of DNS alone keeps it from being decided."),
    ] {
        page.control("TP", []);
        page.text([bold(status)]);
        page.text([roman(meaning)]);
    }
    page.control("SH", ["FILES"]);
    page.control("TP", []);
    page.text([bold("/etc/waxseal/waxseal.toml")]);
    page.text([roman("The settings: "), bold("waxseal.toml"), roman("(5).")]);
    page
}

/// `waxseal.toml(5)`.
fn settings() -> Roff {
    let mut page = Roff::default();
    page.control("TH", ["WAXSEAL.TOML", "5", "", "", "Waxseal"]);
    page.control("SH", ["NAME"]);
    page.text([roman("waxseal.toml - settings of waxseal(1)")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([
        roman("The milter reads "),
        bold("/etc/waxseal/waxseal.toml"),
        roman(", or the file that --config names, at its start and at SIGHUP. It is TOML. "),
        bold("waxseal config init"),
        roman(" writes a first one, "),
        bold("waxseal config check"),
        roman(" judges one, and "),
        bold("waxseal config show"),
        roman(" shows every setting with its value and where that comes from."),
    ]);
    page.control("PP", []);
    page.text([roman("These are all settings, with their defaults and the reason of each:")]);
    page.control("SH", ["SETTINGS"]);
    page.control("nf", []);
    page.text(SETTINGS.lines().flat_map(|line| [roman(line), clap_mangen::roff::line_break()]).collect::<Vec<_>>());
    page.control("fi", []);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("waxseal"), roman("(1), "), bold("waxseal-config"), roman("(1)")]);
    page
}
