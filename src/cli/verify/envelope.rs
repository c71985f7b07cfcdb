//! The SMTP side of a message in a file: what the command line says, and for the rest what the message itself says.

use crate::{
    message::Header,
    received::{self, Handover},
    verify::message::Envelope,
};
use std::{ffi::OsString, net::IpAddr, os::unix::ffi::OsStrExt};

/// The arguments.
#[derive(clap::Args)]
pub struct Known {
    /// The address of the client that sent the message, for SPF [default: what the top Received field says]
    #[arg(long, value_name = "IP")]
    client_ip: Option<IpAddr>,
    /// What the client said at HELO [default: what the top Received field says]
    #[arg(long, value_name = "NAME")]
    helo: Option<OsString>,
    /// The sender at MAIL FROM; '' or '<>' is the null sender [default: what Return-Path says]
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    mail_from: Option<OsString>,
}

/// An envelope, or why SPF cannot be judged.
pub struct Found {
    /// What is known; without a client where SPF cannot be judged.
    pub envelope: Envelope,
    /// Why there is no SPF.
    pub missing: Option<&'static str>,
}

impl Known {
    /// The envelope of a message.
    pub fn of(&self, header: &Header) -> Found {
        let handover = self.handover(header);
        let client_ip = self.client_ip.or(handover.as_ref().map(|handover| handover.client_ip));
        let helo = match (&self.helo, handover) {
            (Some(helo), _) => helo.as_bytes().to_vec(),
            (None, handover) => handover.map(|handover| handover.helo).unwrap_or_default(),
        };
        let mail_from = match &self.mail_from {
            Some(text) => Some(text.as_bytes().to_vec()),
            None => received::return_path(header),
        };
        let missing = match (client_ip, &mail_from) {
            (None, _) => Some("the client is not known: no Received field says it; give --client-ip"),
            (_, None) => Some("MAIL FROM is not known: no Return-Path field says it; give --mail-from"),
            _ => None,
        };
        Found {
            envelope: Envelope {
                client_ip: client_ip.filter(|_| missing.is_none()),
                helo,
                mail_from: mail_from.unwrap_or_default(),
            },
            missing,
        }
    }

    /// Who handed the message over, by the message itself. A content filter on the same host hands it over once more, so
    /// loopback addresses are passed over; and what is said of one client is not mixed with the address of another.
    fn handover(&self, header: &Header) -> Option<Handover> {
        let handover = received::handover(header, |address| address.is_loopback())?;
        match self.client_ip {
            Some(given) if given.to_canonical() != handover.client_ip => None,
            _ => Some(handover),
        }
    }
}
