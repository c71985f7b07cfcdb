//! Every option of OpenDKIM 2.11 and what becomes of it: one line each, so that nothing is dropped in silence.

use crate::config::reader::nearest;

/// An option.
#[derive(Debug)]
pub struct Opt {
    /// As the manual spells it.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What becomes of it.
    pub fate: Fate,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// yes or no
    Bool,
    /// A number.
    Number,
    /// Anything else.
    Text,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is read, and says itself what it cannot carry.
    Read,
    /// Nothing takes its place, because nothing is needed: why.
    Needless(&'static str),
    /// What it did is not done: why, and the nearest that there is. A Boolean that says no does nothing anyway.
    Lost(&'static str),
}

use Fate::{Lost, Needless, Read};
use Kind::{Bool, Number, Text};

const SERVICE: Fate = Needless("the service is systemd's to start, restart and stop (systemd/waxseal.service)");
const LOGGING: Fate = Needless("each message has one line with its reason; [log] decides how much more is said");
const DNSSEC: Fate = Needless("the resolver validates DNSSEC; verify.resolver names it");
const SCRIPT: Fate = Lost("there are no scripts; the nearest are the listener's mode, trusted_networks and [signing]");
const LDAP: Fate = Lost("tables are not asked for from LDAP; write the domains into this file");
const REPORTS: Fate = Lost("no failure reports are sent; `waxseal verify` and the log say why a signature failed");
const STATISTICS: Fate = Lost("no statistics file is written; the log has every result");
const RESIGN: Fate = Lost("mail from outside is not signed again; the mailing list or forwarder must sign it itself");
const VBR: Fate = Lost("Vouch By Reference (RFC 5518) is not supported, and hardly anybody asks for it");
const TESTING: Fate = Lost("it is for tests; `waxseal verify --dns FILE` answers from a file");

const fn option(name: &'static str, kind: Kind, fate: Fate) -> Opt {
    Opt { name, kind, fate }
}

/// All of them, in the order of the manual.
const OPTIONS: &[Opt] = &[
    option("AllowSHA1Only", Bool, Lost("SHA-1 is refused (RFC 8301)")),
    option("AlwaysAddARHeader", Bool, Needless("every message that is judged gets its results")),
    option("ATPSDomains", Text, Lost("signatures by third parties (RFC 6541) are not supported")),
    option("ATPSHashAlgorithm", Text, Needless("it belongs to ATPSDomains")),
    option("AuthservID", Text, Read),
    option(
        "AuthservIDWithJobID",
        Bool,
        Lost("the queue id is in the log; the authserv-id stays the same for all mail"),
    ),
    option("AutoRestart", Bool, SERVICE),
    option("AutoRestartCount", Number, SERVICE),
    option("AutoRestartRate", Text, SERVICE),
    option("Background", Bool, SERVICE),
    option("BaseDirectory", Text, Needless("paths are written in full here")),
    option(
        "BodyLengthDB",
        Text,
        Lost("the whole body is always signed: l= lets strangers add text (RFC 6376 section 8.2)"),
    ),
    option("BogusKey", Text, DNSSEC),
    option("CaptureUnknownErrors", Bool, Lost("a fault is a temporary failure, and the message waits at its sender")),
    option("Canonicalization", Text, Read),
    option("ChangeRootDirectory", Text, Needless("systemd/waxseal.service confines the process")),
    option("ClockDrift", Number, Needless("300 seconds are allowed, OpenDKIM's default")),
    option("ConditionalSignatures", Text, Lost("conditional signatures are not supported")),
    option("DefaultSender", Text, Lost("mail without a From field is not signed")),
    option("Diagnostics", Bool, Read),
    option("DiagnosticDirectory", Text, REPORTS),
    option("DisableCryptoInit", Bool, Needless("the cryptographic library needs no such care")),
    option("DNSConnect", Bool, Needless("TCP is used where an answer needs it")),
    option("DNSTimeout", Number, Read),
    option("Domain", Text, Read),
    option("DomainKeysCompat", Bool, Lost("DomainKeys (RFC 4870) is historic")),
    option(
        "DontSignMailTo",
        Text,
        Lost("recipients do not decide; the nearest is signing.inbound_mark, a field that marks mail to leave alone"),
    ),
    option("EnableCoredumps", Bool, Needless("a dump would hold keys, and none is written")),
    option(
        "ExemptDomains",
        Text,
        Lost("no From domain is exempt; the nearest are verify.exempt_networks and exempt_users"),
    ),
    option("ExternalIgnoreList", Text, Needless("it only silenced a log message that Waxseal does not write")),
    option("FinalPolicyScript", Text, SCRIPT),
    option(
        "FixCRLF",
        Bool,
        Lost("octets are signed as they come; Postfix mends stray line ends before any milter sees them"),
    ),
    option("IdentityHeader", Text, Lost("i= is the same for a whole domain: `identity` in its table")),
    option("IdentityHeaderRemove", Bool, Needless("it belongs to IdentityHeader")),
    option("IgnoreMalformedMail", Bool, Needless("malformed mail passes with its results, and is never changed")),
    option("Include", Text, Read),
    option("InternalHosts", Text, Read),
    option(
        "KeepAuthResults",
        Bool,
        Lost("fields under our own name that come from outside are forged, and always removed"),
    ),
    option("KeepTemporaryFiles", Bool, Needless("there are no temporary files")),
    option("KeyFile", Text, Read),
    option("KeyTable", Text, Read),
    option("LDAPAuthMechanism", Text, LDAP),
    option("LDAPAuthName", Text, LDAP),
    option("LDAPAuthRealm", Text, LDAP),
    option("LDAPAuthUser", Text, LDAP),
    option("LDAPBindPassword", Text, LDAP),
    option("LDAPBindUser", Text, LDAP),
    option("LDAPDisableCache", Bool, LDAP),
    option("LDAPKeepaliveIdle", Text, LDAP),
    option("LDAPKeepaliveInterval", Text, LDAP),
    option("LDAPKeepaliveProbes", Text, LDAP),
    option("LDAPTimeout", Text, LDAP),
    option("LDAPUseTLS", Bool, LDAP),
    option("LogResults", Bool, LOGGING),
    option("LogWhy", Bool, LOGGING),
    option("LuaOnlySigning", Bool, SCRIPT),
    option(
        "MacroList",
        Text,
        Lost("macros do not decide; users who authenticate are signed for already: let them, or add trusted_networks"),
    ),
    option("MaximumHeaders", Number, Read),
    option("MaximumSignaturesToVerify", Number, Needless("the number of signatures judged is bounded by itself")),
    option("MaximumSignedBytes", Number, Lost("the whole body is always signed: l= lets strangers add text")),
    option("MilterDebug", Number, LOGGING),
    option("Minimum", Text, Lost("a signature with l= over part of the body is always refused (result policy)")),
    option("MinimumKeyBits", Number, Read),
    option("Mode", Text, Read),
    option(
        "MTA",
        Text,
        Lost(
            "the name of the service does not decide; users who authenticate are signed for already: let them, or add trusted_networks",
        ),
    ),
    option("MTACommand", Text, REPORTS),
    option("MultipleSignatures", Bool, Read),
    option("MustBeSigned", Text, Lost("a signature must cover From, and no other field is demanded")),
    option("Nameservers", Text, Read),
    option("NoHeaderB", Bool, Lost("header.b is written where it tells signatures apart (RFC 6008)")),
    option("OmitHeaders", Text, Read),
    option("On-BadSignature", Text, Read),
    option("On-Default", Text, Read),
    option("On-DNSError", Text, Read),
    option("On-InternalError", Text, Read),
    option("On-KeyNotFound", Text, Read),
    option("On-NoSignature", Text, Read),
    option("On-Security", Text, Read),
    option("On-SignatureError", Text, Read),
    option("OversignHeaders", Text, Read),
    option("PeerList", Text, Read),
    option("PidFile", Text, SERVICE),
    option("POPDBFile", Text, Lost("POP before SMTP is not known; let users authenticate")),
    option("Quarantine", Bool, Read),
    option("QueryCache", Bool, Needless("answers are kept for their TTL")),
    option("RedirectFailuresTo", Text, Lost("mail is not redirected; the nearest is verify.actions: quarantine")),
    option("RemoveARAll", Bool, Needless("every field under our own name that came from outside is removed")),
    option(
        "RemoveARFrom",
        Text,
        Lost("only fields under verify.authserv_id are removed; share that name among your hosts"),
    ),
    option("RemoveOldSignatures", Bool, Lost("signatures that mail has already are left alone, and do no harm")),
    option("ReplaceHeaders", Text, Lost("the header is signed as it is; rewrite addresses before the milter")),
    option("ReplaceRules", Text, Lost("the header is signed as it is; rewrite addresses before the milter")),
    option("ReportAddress", Text, REPORTS),
    option("ReportBccAddress", Text, REPORTS),
    option("RequestReports", Bool, Lost("no reports are asked for (r=y); DMARC reports say more")),
    option("RequiredHeaders", Bool, Lost("mail is not refused for the count of its fields; Postfix does not either")),
    option("RequireSafeKeys", Bool, Needless("key files that others could read are always refused")),
    option("ResignAll", Bool, RESIGN),
    option("ResignMailTo", Text, RESIGN),
    option("ResolverConfiguration", Text, DNSSEC),
    option("ResolverTracing", Bool, LOGGING),
    option("ScreenPolicyScript", Text, SCRIPT),
    option("SelectCanonicalizationHeader", Text, Lost("no field of a message decides how it is signed")),
    option("Selector", Text, Read),
    option("SenderHeaders", Text, Read),
    option("SenderMacro", Text, Lost("the From field decides (DMARC looks at no other)")),
    option("SendReports", Bool, REPORTS),
    option("SetupPolicyScript", Text, SCRIPT),
    option("SignatureAlgorithm", Text, Read),
    option("SignatureTTL", Number, Read),
    option("SignHeaders", Text, Read),
    option("SigningTable", Text, Read),
    option("SMTPURI", Text, REPORTS),
    option("Socket", Text, Read),
    option("SoftStart", Bool, LDAP),
    option("SoftwareHeader", Bool, Lost("no field names the program")),
    option("Statistics", Text, STATISTICS),
    option("StatisticsName", Text, STATISTICS),
    option("StatisticsPolicyScript", Text, STATISTICS),
    option("StatisticsPrefix", Text, STATISTICS),
    option("StrictHeaders", Bool, Lost("mail is not refused for the count of its fields; Postfix does not either")),
    option("StrictTestMode", Bool, TESTING),
    option("SubDomains", Bool, Read),
    option("Syslog", Bool, LOGGING),
    option("SyslogFacility", Text, LOGGING),
    option("SyslogName", Text, LOGGING),
    option("SyslogSuccess", Bool, LOGGING),
    option("TemporaryDirectory", Text, Needless("there are no temporary files")),
    option("TestDNSData", Text, TESTING),
    option("TestPublicKeys", Text, TESTING),
    option("TrustAnchorFile", Text, DNSSEC),
    option(
        "TrustSignaturesFrom",
        Text,
        Needless("every signature is reported with its domain, and DMARC asks for alignment"),
    ),
    option("UMask", Number, Read),
    option("UnprotectedKey", Text, DNSSEC),
    option("UserID", Text, Needless("systemd/waxseal.service says which user it is: waxseal")),
    option("VBR-Certifiers", Text, VBR),
    option("VBR-PurgeFields", Bool, VBR),
    option("VBR-TrustedCertifiers", Text, VBR),
    option("VBR-TrustedCertifiersOnly", Bool, VBR),
    option("VBR-Type", Text, VBR),
    option("WeakSyntaxChecks", Bool, Needless("mail that cannot be read is judged as far as it can be")),
    option("X-Header", Bool, Lost("no field names the program")),
];

/// The option of this name, whatever its case.
pub fn find(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.name.eq_ignore_ascii_case(name))
}

/// The name that may have been meant.
pub fn meant(name: &str) -> Option<&'static str> {
    let names: Vec<&str> = OPTIONS.iter().map(|option| option.name).collect();
    nearest(name, &names)
}
