//! A message and a zone, diagnosed by the real `waxseal verify`: which cause leads, which must not be named.

use super::{desk::Desk, forge::Zone};
use serde_json::Value;

/// When the scenes play, unless they say otherwise.
pub const AT: &str = "2026-11-23T04:00:00Z";

/// A plain message of billing@example.com.
pub const MAIL: &str = "From: Billing <billing@example.com>\r\nTo: a@example.net\r\nSubject: an invoice\r\n\
                        Date: Mon, 23 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello,\r\nthe end\r\n";

/// What `waxseal verify --json` said.
pub struct Said {
    pub report: Value,
    pub status: i32,
}

/// Runs `waxseal verify` on a message under a zone, with further arguments.
#[track_caller]
pub fn verify(mail: &[u8], zone: &Zone, arguments: &[&str]) -> Said {
    let mut all = if arguments.contains(&"--at") { Vec::new() } else { vec!["--at", AT] };
    all.extend(arguments);
    let (report, status) = Desk::new(zone).judge(mail, &all);
    Said { report, status }
}

/// Runs `waxseal check` on example.com under a zone, with further arguments.
#[track_caller]
pub fn check(zone: &Zone, arguments: &[&str]) -> Said {
    let desk = Desk::new(zone);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_waxseal"))
        .args(["check", "--dns", "zone", "--json", "example.com"])
        .args(arguments)
        .current_dir(desk.path(""))
        .output()
        .expect("the program runs");
    let status = output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"));
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    Said { report, status }
}

impl Said {
    /// The findings, in order.
    pub fn findings(&self) -> &[Value] {
        self.report["findings"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The codes of all findings, in order.
    pub fn causes(&self) -> Vec<&str> {
        self.findings().iter().filter_map(|finding| finding["cause"].as_str()).collect()
    }

    /// The finding of this cause.
    #[track_caller]
    pub fn finding(&self, cause: &str) -> &Value {
        self.findings()
            .iter()
            .find(|finding| finding["cause"] == cause)
            .unwrap_or_else(|| panic!("{cause} is not among the findings: {:#}", self.report))
    }

    /// The message's own cause is this one, at this confidence.
    #[track_caller]
    pub fn leads(&self, cause: &str, confidence: &str) -> &Said {
        let first = self.findings().first().unwrap_or_else(|| panic!("no findings: {:#}", self.report));
        let seen = (first["cause"].as_str(), first["confidence"].as_str(), first["primary"].as_bool());
        assert_eq!(seen, (Some(cause), Some(confidence), Some(true)), "{:#}", self.report);
        self
    }

    /// None of these causes is named.
    #[track_caller]
    pub fn never(&self, causes: &[&str]) -> &Said {
        for cause in causes {
            assert!(!self.causes().contains(cause), "{cause} is named: {:#}", self.report);
        }
        self
    }

    /// Nothing is an error, and the message authenticates.
    #[track_caller]
    pub fn healthy(&self) -> &Said {
        assert_eq!(self.status, 0, "{:#}", self.report);
        assert!(self.findings().iter().all(|finding| finding["severity"] != "error"), "{:#}", self.report);
        self
    }

    /// The first finding is this one, whether it leads a failure or is a note beside none.
    #[track_caller]
    pub fn leads_or_notes(&self, cause: &str) -> &Said {
        assert_eq!(self.causes().first(), Some(&cause), "{:#}", self.report);
        self
    }
}
