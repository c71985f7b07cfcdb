//! Causes: alignment and policy.

causes! {
    Policy;

    /// The domain in From does not exist in DNS.
    ///
    /// # Why it fails
    /// DKIM, SPF and DMARC all start from names under the author's domain. Where the domain itself is NXDOMAIN there is
    /// nothing to look up, and many receivers refuse such mail before they authenticate it.
    /// # How it comes about
    /// A typing error in the From address, an internal name that leaked, a domain that expired, or a forged author.
    /// # What to do
    /// Write From with a domain that exists, or renew the domain.
    /// # Not this
    /// A domain that exists without a DMARC record is dmarc-record-missing.
    FROM_DOMAIN_NONEXISTENT = "from-domain-nonexistent", Transport, Error, "the From domain does not exist",
        seed [], see ["RFC 9989 §3.2.13"];

    /// The header has several From fields, or a From field with authors of several domains.
    ///
    /// # Why it fails
    /// DMARC protects one author's domain. Which of several authors a reader will be shown is unknown, so such mail is
    /// never passed.
    /// # How it comes about
    /// A mail program that joins headers, a gateway that adds From instead of replacing it, or an attacker who wants one
    /// author checked and another one shown.
    /// # What to do
    /// Send exactly one From field with one mailbox; name further authors in Cc or Reply-To, or use Sender.
    /// # Not this
    /// A From field that cannot be read at all is dmarc-from-unreadable.
    MULTIPLE_FROM = "dmarc-multiple-from", Policy, Error, "several authors stand in From",
        seed [], see ["RFC 9989 §11.5", "RFC 5322 §3.6"];

    /// There is no From field, or none that names a mailbox.
    ///
    /// # Why it fails
    /// Without an author's domain there is nothing that DKIM or SPF could be aligned with.
    /// # How it comes about
    /// A script that leaves From out, a display name with unquoted special characters, or an empty address.
    /// # What to do
    /// Write From as `Name <local@domain>`, the name in double quotes where it holds anything but letters and blanks.
    /// # Not this
    /// Several authors are dmarc-multiple-from.
    FROM_UNREADABLE = "dmarc-from-unreadable", Policy, Error, "no author can be read in From",
        seed [], see ["RFC 9989 §11.5", "RFC 5322 §3.4"];

    /// The From domain belongs to a mail portal whose records allow only the portal's own servers.
    ///
    /// # Why it fails
    /// Only the portal can sign for its domain and is listed in its SPF record, so DMARC cannot pass for mail that is
    /// sent from anywhere else.
    /// # How it comes about
    /// A shop or a newsletter is sent through an own server or a sending service with the operator's private address of
    /// the portal in From.
    /// # What to do
    /// Send from an address of a domain of your own, and put the portal's address into Reply-To.
    /// # Not this
    /// A domain of your own whose provider signs with another domain is dmarc-dkim-not-aligned.
    FROM_DOMAIN_NOT_YOURS = "from-domain-not-yours", Policy, Error, "the From domain belongs to a mail portal",
        seed [], see ["RFC 9989 §5.3.5"];

    /// DKIM passes under adkim=r, but the record asks for the very same domain.
    ///
    /// # Why it fails
    /// With `adkim=s` the signing domain must equal the From domain; a parent or a subdomain does not count.
    /// # How it comes about
    /// The record was made stricter than the signers are, or a service signs with a subdomain.
    /// # What to do
    /// Take `adkim=s` out of the DMARC record, or let the signer use d= equal to the From domain.
    /// # Not this
    /// A signature of another organisation is dmarc-dkim-not-aligned.
    STRICT_DKIM = "dmarc-strict-dkim", Policy, Error, "only adkim=s keeps DKIM from counting",
        seed [], see ["RFC 9989 §4.4"];

    /// SPF passes under aspf=r, but the record asks for the very same domain.
    ///
    /// # Why it fails
    /// With `aspf=s` the domain of MAIL FROM must equal the From domain; a bounce subdomain does not count.
    /// # How it comes about
    /// The record was made stricter than the envelope: bounces go to a subdomain.
    /// # What to do
    /// Take `aspf=s` out of the DMARC record, or use the From domain in MAIL FROM.
    /// # Not this
    /// An envelope of another organisation is dmarc-spf-not-aligned.
    STRICT_SPF = "dmarc-strict-spf", Policy, Error, "only aspf=s keeps SPF from counting",
        seed [], see ["RFC 9989 §4.4"];

    /// The only signatures that pass are those of the service that sent the mail.
    ///
    /// # Why it fails
    /// The signature proves the service, not the author: its d= is not of the author's organisation, so it does not count
    /// for DMARC.
    /// # How it comes about
    /// The service signs with its fallback domain until the customer publishes a key of the own domain and switches it on.
    /// # What to do
    /// Set up DKIM for your domain at the service, publish the records it shows, and enable signing with them.
    /// # Not this
    /// A signature of another domain that is no sending service's is dmarc-dkim-not-aligned.
    THIRD_PARTY_SIGNATURE = "dmarc-third-party-signature-only", Policy, Error,
        "only the sending service's own domain signed", seed [], see ["RFC 9989 §4.4.1"];

    /// DKIM passes for a domain of another organisation than the author's.
    ///
    /// # Why it fails
    /// DMARC counts a signature only if its d= and the From domain have the same organisational domain.
    /// # How it comes about
    /// A host signs all its customers' mail with its own domain, or From was rewritten to another domain after the
    /// signer was configured.
    /// # What to do
    /// Sign with the From domain: make a key for it and publish its record.
    /// # Not this
    /// A related domain that only adkim=s excludes is dmarc-strict-dkim.
    DKIM_NOT_ALIGNED = "dmarc-dkim-not-aligned", Policy, Error, "DKIM passes for another organisation",
        seed [], see ["RFC 9989 §4.4.1"];

    /// SPF passes for an envelope domain of another organisation than the author's.
    ///
    /// # Why it fails
    /// DMARC counts SPF only if the domain of MAIL FROM and the From domain have the same organisational domain.
    /// # How it comes about
    /// Bounces go to the sending service: MAIL FROM holds its domain, which authorises its servers, and not yours.
    /// # What to do
    /// Let DKIM sign with your domain, which is enough; or set up a return path of your own at the service.
    /// # Not this
    /// A related domain that only aspf=s excludes is dmarc-strict-spf.
    SPF_NOT_ALIGNED = "dmarc-spf-not-aligned", Policy, Error, "SPF passes for another organisation",
        seed [], see ["RFC 9989 §4.4.2"];

    /// Neither DKIM nor SPF passes, each for a reason of its own.
    ///
    /// # Why it fails
    /// DMARC needs one aligned pass. The findings on the signature and on SPF say what broke each.
    /// # How it comes about
    /// Forwarding breaks SPF and a footer breaks DKIM; or neither was ever set up rightly.
    /// # What to do
    /// Mend either of the two named causes; DKIM is the better one, because it survives forwarding.
    /// # Not this
    /// One that passes without counting is dmarc-dkim-not-aligned or dmarc-spf-not-aligned.
    BOTH_FAILED = "dmarc-both-failed-cause", Policy, Error, "DKIM and SPF both fail",
        seed [], see ["RFC 9989 §5.3.5"];

    /// More than one DMARC record stands at the name.
    ///
    /// # Why it fails
    /// Receivers that find several records apply none: the domain has no policy and gets no reports.
    /// # How it comes about
    /// A second record was added by a provider's wizard instead of editing the first.
    /// # What to do
    /// Keep one record, with the tags of both, and delete the others.
    /// # Not this
    /// Other TXT records at the name without `v=DMARC1` do no harm.
    RECORD_MULTIPLE = "dmarc-record-multiple", Policy, Warning, "there are several DMARC records",
        seed [], see ["RFC 9989 §4.10"];

    /// The DMARC record cannot be applied as it is written.
    ///
    /// # Why it fails
    /// Without a valid p= a receiver treats the record as `p=none` if it names where to report to, and ignores it
    /// altogether if not; other tags that cannot be read do not count.
    /// # How it comes about
    /// A misspelt policy, a missing semicolon, quotes typed into the value, or `v=DMARC1` that is not the first tag.
    /// # What to do
    /// Publish it anew, with `v=DMARC1` first and a p= of none, quarantine or reject.
    /// # Not this
    /// No record at all is dmarc-record-missing.
    RECORD_INVALID = "dmarc-record-invalid", Policy, Warning, "the DMARC record is not valid",
        seed [], see ["RFC 9989 §4.8"];

    /// A DMARC record stands where nobody looks for it.
    ///
    /// # Why it fails
    /// Receivers ask for `_dmarc.` before the domain, and nowhere else.
    /// # How it comes about
    /// The panel appended the domain to a name that already had it, or the record was put at the domain itself.
    /// # What to do
    /// Publish it at `_dmarc.{domain}`; where the panel adds the domain by itself, enter only `_dmarc`.
    /// # Not this
    /// No record anywhere is dmarc-record-missing.
    RECORD_WRONG_HOST = "dmarc-record-wrong-host", Policy, Warning, "the DMARC record stands at the wrong name",
        seed [], see ["RFC 9989 §4.7"];

    /// The domain has no DMARC record.
    ///
    /// # Why it fails
    /// Nothing fails by it here. But nobody protects the domain against forgers, and large receivers want a record from
    /// those who send much.
    /// # How it comes about
    /// It was never published.
    /// # What to do
    /// Publish `v=DMARC1; p=none; rua=mailto:...` first, read the reports, and then make the policy stricter.
    /// # Not this
    /// A record at the wrong name is dmarc-record-wrong-host; two records are dmarc-record-multiple.
    RECORD_MISSING = "dmarc-record-missing", Policy, Note, "there is no DMARC record",
        seed [], see ["RFC 9989 §4.7"];

    /// The policy that applied is that for subdomains.
    ///
    /// # Why it fails
    /// The From domain has no record of its own, so the organisational domain's sp= (or np=, where the subdomain does not
    /// exist) decides, which may be stricter than its p=.
    /// # How it comes about
    /// Mail is sent from a subdomain that nobody thought of when the policy was written.
    /// # What to do
    /// Authenticate the subdomain's mail, or publish a record at `_dmarc.` of the subdomain itself.
    /// # Not this
    /// Why nothing passed is said by the other findings.
    SUBDOMAIN_POLICY = "dmarc-subdomain-policy", Policy, Note, "the policy for subdomains applied",
        seed [], see ["RFC 9989 §4.10.1"];

    /// Receivers that use the Public Suffix List take another domain for the organisational one than the tree walk does.
    ///
    /// # Why it fails
    /// A `psd=` tag moves the boundary of the organisation for those who walk the tree, and not for those who still look
    /// it up in the list; what aligns for the ones does not for the others.
    /// # How it comes about
    /// RFC 9989 replaced the list by the walk; both kinds of receivers exist.
    /// # What to do
    /// Sign with the very domain in From, which aligns for both.
    /// # Not this
    /// Domains of two organisations are dmarc-dkim-not-aligned.
    PSL_VS_TREEWALK = "dmarc-psl-vs-treewalk", Policy, Warning,
        "receivers differ in what the organisational domain is", seed [], see ["RFC 9989 §4.10.2"];
}
