//! The receiving side of the demo: the key is looked up in DNS over the wire, and the signature verified by mail-auth,
//! an implementation that shares nothing with our signing code.

use super::Unexpected;
use crate::dns::{Dns, live};
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimOutput, DkimResult, Error, MessageAuthenticator, dkim::DkimError};
use std::net::SocketAddr;

/// A receiver that asks one name server.
pub struct Receiver {
    dns: Dns,
    verifier: MessageAuthenticator,
}

/// What a receiver says of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It bears no signature.
    Unsigned,
    /// The signature holds.
    Pass(KeyFound),
    /// The body is not the one that was signed.
    BodyChanged,
    /// Anything else, in the verifier's words.
    Fail(String),
}

/// The key record as it came from DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFound {
    /// Into how many character-strings it is split.
    pub strings: usize,
    /// The strings, joined.
    pub value: Vec<u8>,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
}

impl Receiver {
    /// Asks this name server, and no other.
    pub fn new(server: SocketAddr) -> Result<Receiver, Unexpected> {
        let mut config = NameServerConfig::udp_and_tcp(server.ip());
        for connection in &mut config.connections {
            connection.port = server.port();
        }
        let config = ResolverConfig::from_name_servers(vec![config]);
        let verifier = MessageAuthenticator::new(config, ResolverOpts::default())
            .map_err(Unexpected::when("the verifier cannot be set up"))?;
        Ok(Receiver { dns: Dns::new(live::resolver(server)), verifier })
    }

    /// Judges a message as it was delivered.
    pub async fn judge(&self, message: &[u8]) -> Result<Judgement, Unexpected> {
        let message = AuthenticatedMessage::parse(message)
            .ok_or_else(|| Unexpected::new("the verifier cannot read the delivered message"))?;
        let outputs = self.verifier.verify_dkim(&message).await;
        match outputs.as_slice() {
            [] => Ok(Judgement::Unsigned),
            [output] => self.judge_signature(output).await,
            more => Err(Unexpected::new(format!("{} signatures where one was expected", more.len()))),
        }
    }

    async fn judge_signature(&self, output: &DkimOutput<'_>) -> Result<Judgement, Unexpected> {
        match (output.result(), output.signature()) {
            (DkimResult::Pass, Some(signature)) => {
                let name = format!("{}._domainkey.{}", signature.s, signature.d);
                self.key(name).await.map(Judgement::Pass)
            }
            (DkimResult::Neutral(Error::Dkim(DkimError::FailedBodyHashMatch)), _) => Ok(Judgement::BodyChanged),
            (other, _) => Ok(Judgement::Fail(format!("{other:?}"))),
        }
    }

    async fn key(&self, name: String) -> Result<KeyFound, Unexpected> {
        let answer = self.dns.query(&name, crate::dns::RecordType::Txt).await;
        let mut records = answer.txt();
        match (records.next(), records.next(), answer.records.first()) {
            (Some(strings), None, Some(record)) => {
                Ok(KeyFound { strings: strings.len(), value: strings.concat(), ttl: record.ttl })
            }
            _ => Err(Unexpected::new(format!("{name} should have one record, and DNS answered {:?}", answer.outcome))),
        }
    }
}
