//! Where the answers come from: master files alone, or a resolver; and the recording of what was answered.

use crate::{
    cli::{Mistake, publish},
    dns::{Dns, cache, cache::Cache, live, record::Recorder, zone},
    inquire::{self, Allowance},
};
use std::{fs::OpenOptions, net::SocketAddr, path::PathBuf};

/// The arguments.
#[derive(clap::Args)]
pub struct Ask {
    /// Answer DNS questions from this master file alone, without any network; may be given several times
    #[arg(long, value_name = "FILE")]
    dns: Vec<PathBuf>,
    /// Ask this resolver [default: the system's]
    #[arg(long, value_name = "IP[:PORT]", value_parser = publish::resolver, conflicts_with = "dns")]
    resolver: Option<SocketAddr>,
    /// Write every answer, faults too, into a master file: with --dns, it gives them again
    #[arg(long, value_name = "FILE")]
    record_dns: Option<PathBuf>,
}

/// A source of answers for all messages of a run.
pub struct Source {
    /// What to ask.
    pub dns: Dns,
    recorder: Option<(Recorder, PathBuf)>,
    live: bool,
}

impl Source {
    /// Opens it. A master file with a mistake, and a recording that cannot be written, are found here.
    pub fn new(options: &Ask) -> Result<Source, Mistake> {
        let live = options.dns.is_empty();
        let dns = if live {
            let live = match options.resolver {
                Some(server) => live::resolver(server),
                None => live::system().map_err(|mistake| Mistake::new(mistake.to_string()))?,
            };
            Dns::new(Cache::new(Dns::new(live), cache::Limits::default()))
        } else {
            zone::load(&options.dns).map_err(|mistakes| Mistake::new(mistakes.to_string()))?
        };
        let Some(file) = &options.record_dns else { return Ok(Source { dns, recorder: None, live }) };
        // Better now than after the work.
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .map_err(|error| Mistake::new(format!("{}: {error}", file.display())))?;
        let recorder = Recorder::new(dns);
        Ok(Source { dns: Dns::new(recorder.clone()), recorder: Some((recorder, file.clone())), live })
    }

    /// Are name servers asked, and not master files?
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// What a diagnosis may ask: master files cost nothing.
    pub fn allowance(&self) -> Allowance {
        match self.live {
            true => inquire::LIVE,
            false => inquire::OFFLINE,
        }
    }

    /// Writes the recording, if one is wanted.
    pub async fn save(&self) -> Result<(), String> {
        match &self.recorder {
            None => Ok(()),
            Some((recorder, file)) => recorder.save(file).await.map_err(|error| format!("{}: {error}", file.display())),
        }
    }
}
