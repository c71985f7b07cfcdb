//! The Received-SPF field (§9.1), for readers that know nothing newer than it.

use super::{Outcome, Scope};

/// The name of the field.
pub const FIELD_NAME: &str = "Received-SPF";

impl Outcome {
    /// The value of a Received-SPF field, without a leading blank, folded with CR LF TAB.
    ///
    /// `helo` and `mail_from` are as received; what cannot stand in quotes becomes `?`.
    pub fn field_value(&self, receiver: &str, helo: &[u8], mail_from: &[u8]) -> String {
        let identity = match self.scope {
            Scope::MailFrom => "mailfrom",
            Scope::Helo => "helo",
        };
        let mail_from = mail_from.strip_prefix(b"<").and_then(|path| path.strip_suffix(b">")).unwrap_or(mail_from);
        format!(
            "{} ({})\r\n\tclient-ip={}; identity={identity};\r\n\tenvelope-from={};\r\n\thelo={};\r\n\treceiver={};",
            self.result,
            comment(&self.reason.to_string()),
            self.client_ip,
            quoted(mail_from),
            quoted(helo),
            quoted(receiver.as_bytes()),
        )
    }
}

/// Text for a comment: no parentheses and no backslashes, so that it ends where it should.
fn comment(text: &str) -> String {
    cleaned(text.as_bytes(), b"()\\", 60)
}

fn quoted(value: &[u8]) -> String {
    format!("\"{}\"", cleaned(value, b"\"\\", 250))
}

fn cleaned(text: &[u8], unfit: &[u8], most: usize) -> String {
    let clean = |byte: &u8| if (b' '..=b'~').contains(byte) && !unfit.contains(byte) { char::from(*byte) } else { '?' };
    text.iter().take(most).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Query, check};

    #[tokio::test]
    async fn strangers_cannot_break_out_of_their_quotes() {
        let dns = crate::dns::zone::parse("a.example. 60 IN TXT \"v=spf1 -all\"\n", "zone").expect("a zone");
        let query = Query {
            client_ip: "192.0.2.1".parse().expect("an address"),
            helo: b"x\"; spf=pass\r\nSubject: forged".to_vec(),
            mail_from: b"<u@a.example>".to_vec(),
            receiver: "mx.example".into(),
            now: 0,
        };
        let outcome = check(&dns, &query, Limits::default()).await;
        assert_eq!(
            outcome.field_value("mx.example", &query.helo, &query.mail_from),
            "fail (matched -all)\r\n\tclient-ip=192.0.2.1; identity=mailfrom;\r\n\tenvelope-from=\"u@a.example\";\r\n\thelo=\"x?; spf=pass??Subject: forged\";\r\n\treceiver=\"mx.example\";"
        );
    }
}
