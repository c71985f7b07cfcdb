//! The form of a cause, and the macro that turns its comment into its page.

use crate::diagnose::finding::Severity;
use std::ops::RangeInclusive;

/// A cause of failure.
#[derive(Debug)]
pub struct Cause {
    /// Its stable name.
    pub code: &'static str,
    /// What kind of thing is wrong.
    pub family: Family,
    /// Its place in the order of blame.
    pub stage: Stage,
    /// How grave it usually is, for lists; what it means for one message is decided there.
    pub severity: Severity,
    /// A clause for lists: lower case, no full stop.
    pub title: &'static str,
    /// The comment above it, line by line.
    pub(crate) doc: &'static str,
    /// Lines of the seed document that it serves.
    pub seed: &'static [RangeInclusive<u16>],
    /// Where else it is documented: `RFC 6376 §3.6.1`.
    pub see: &'static [&'static str],
}

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Family {
    DnsRecord,
    Selector,
    Key,
    Activation,
    Propagation,
    Dns,
    Signer,
    Clock,
    MessageModified,
    Spf,
    Policy,
    Arc,
    VerifierLocal,
    Postfix,
}

/// The order of blame: what comes first explains what comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Our own side.
    Local,
    /// DNS gave no answer, or a wrong one.
    Transport,
    /// Where the record stands, and how many there are.
    Shape,
    /// The text of the record.
    Syntax,
    /// The key in it.
    Decode,
    /// The signature's own field.
    Signature,
    /// Times.
    Clock,
    /// Key against signature.
    Match,
    /// The signed fields.
    Header,
    /// The body.
    Body,
    /// SPF.
    Spf,
    /// Alignment and policy.
    Policy,
    /// Nobody signs.
    Activation,
}

/// The page of a cause, by its headings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The fact, in a sentence or two.
    pub fact: String,
    /// Why mail fails by it.
    pub why: String,
    /// How it comes about.
    pub how: String,
    /// What to do.
    pub fix: String,
    /// Which neighbour it is not.
    pub not_this: String,
}

/// A section of the document that the project started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedSection {
    /// Its heading.
    pub title: &'static str,
    /// Its first line.
    pub from: u16,
}

/// The title of that document, and its address.
pub const SEED_TITLE: &str = "Cloud Outbound Mailer troubleshooting";
/// See [`SEED_TITLE`].
pub const SEED_URL: &str = "https://guide.ncloud-docs.com/docs/en/cloudoutboundmailer-troubleshoot-auth";

/// Its sections, by their first lines.
const SEED_SECTIONS: &[SeedSection] = &[
    SeedSection { title: "DKIM authentication issues", from: 1 },
    SeedSection { title: "DKIM authentication failure checklist", from: 5 },
    SeedSection { title: "DKIM authentication failure", from: 21 },
    SeedSection { title: "DKIM authentication failure despite signature value retrieval", from: 68 },
    SeedSection { title: "Pending DNS record propagation", from: 75 },
    SeedSection { title: "Alternating success and failure during email delivery", from: 80 },
    SeedSection { title: "SPF authentication failure", from: 96 },
];

impl Cause {
    /// The page, read from the comment.
    pub fn page(&self) -> Page {
        let mut parts: [String; 5] = Default::default();
        let mut at = 0;
        for line in self.doc.lines().map(str::trim) {
            at = match line {
                "# Why it fails" => 1,
                "# How it comes about" => 2,
                "# What to do" => 3,
                "# Not this" => 4,
                _ => {
                    let part = &mut parts[at];
                    if !part.is_empty() && !line.is_empty() {
                        part.push(' ');
                    }
                    part.push_str(line);
                    continue;
                }
            };
        }
        let [fact, why, how, fix, not_this] = parts;
        Page { fact, why, how, fix, not_this }
    }

    /// The section of the seed document where it is treated most: that of its first line outside the checklist, else of
    /// its first line.
    pub fn seed_section(&self) -> Option<SeedSection> {
        let of = |line: u16| SEED_SECTIONS.iter().rev().find(|section| section.from <= line).copied();
        let lines = || self.seed.iter().map(|range| *range.start());
        lines().find(|&line| line > 20).or_else(|| lines().next()).and_then(of)
    }

    /// Every line of the seed document that it serves.
    pub fn seed_lines(&self) -> Vec<u16> {
        self.seed.iter().cloned().flatten().collect()
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Cause) -> bool {
        self.code == other.code
    }
}

impl Eq for Cause {}

impl Family {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::DnsRecord => "dns-record",
            Family::Selector => "selector",
            Family::Key => "key",
            Family::Activation => "activation",
            Family::Propagation => "propagation",
            Family::Dns => "dns",
            Family::Signer => "signer",
            Family::Clock => "clock",
            Family::MessageModified => "message-modified",
            Family::Spf => "spf",
            Family::Policy => "policy",
            Family::Arc => "arc",
            Family::VerifierLocal => "verifier-local",
            Family::Postfix => "postfix",
        }
    }
}

/// Declares the causes of one family; the comment above each is its page.
macro_rules! causes {
    (
        $family:ident;
        $(
            $(#[doc = $doc:literal])*
            $name:ident = $code:literal, $stage:ident, $severity:ident, $title:literal, seed [$($seed:expr),*], see [$($see:literal),*];
        )*
    ) => {
        $(
            $(#[doc = $doc])*
            // A page speaks of buttons like [Enable], which are no links.
            #[allow(rustdoc::broken_intra_doc_links)]
            pub static $name: $crate::diagnose::register::Cause = $crate::diagnose::register::Cause {
                code: $code,
                family: $crate::diagnose::register::Family::$family,
                stage: $crate::diagnose::register::Stage::$stage,
                severity: $crate::diagnose::finding::Severity::$severity,
                title: $title,
                doc: concat!($($doc, "\n"),*),
                seed: &[$($seed),*],
                see: &[$($see),*],
            };
        )*

        /// The causes of this family, in the order of the docs.
        pub static ALL: &[&$crate::diagnose::register::Cause] = &[$(&$name),*];
    };
}
