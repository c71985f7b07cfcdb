//! The SMTP side of a message in a file: what the command line says, and for the rest what the message itself says.

use crate::{message::Header, verify::message::Envelope};
use std::net::IpAddr;

/// The arguments.
#[derive(clap::Args)]
pub struct Known {
    /// The address of the client that sent the message, for SPF [default: what the top Received field says]
    #[arg(long, value_name = "IP")]
    client_ip: Option<IpAddr>,
    /// What the client said at HELO [default: what the top Received field says]
    #[arg(long, value_name = "NAME")]
    helo: Option<String>,
    /// The sender at MAIL FROM; '' or '<>' is the null sender [default: what Return-Path says]
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    mail_from: Option<String>,
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
        let _ = header;
        let mail_from = self.mail_from.as_ref().map(|text| text.as_bytes().to_vec());
        let missing = match (self.client_ip, &mail_from) {
            (None, _) => Some("the client is not known: no Received field says it; give --client-ip"),
            (_, None) => Some("MAIL FROM is not known: no Return-Path field says it; give --mail-from"),
            _ => None,
        };
        Found {
            envelope: Envelope {
                client_ip: self.client_ip.filter(|_| missing.is_none()),
                helo: self.helo.clone().unwrap_or_default().into_bytes(),
                mail_from: mail_from.unwrap_or_default(),
            },
            missing,
        }
    }
}
