//! What to do about each change, and who stands behind it: a filter behind the signer, a mailing list, a forwarder.

use crate::{
    diagnose::{
        case::Case,
        finding::{Confidence, Finding, Value},
        register::{Cause, modified as causes},
    },
    verify::dkim::DkimResult,
};

/// Fields that filters on a sending or a receiving host put in.
const FILTER_FIELDS: [&str; 14] = [
    "X-Virus-Scanned",
    "X-Virus-Status",
    "X-Spam-Status",
    "X-Spam-Flag",
    "X-Spam-Score",
    "X-Spam-Level",
    "X-Spam-Checker-Version",
    "X-Amavis-Alert",
    "X-Amavis-Modified",
    "X-Disclaimer",
    "X-MailScanner",
    "X-Sanitizer",
    "X-Filter-Version",
    "X-Content-Filter",
];

/// Notes beside the change.
pub fn findings(case: &Case<'_>, result: &DkimResult) -> Vec<Finding> {
    let filter = filter(case, result);
    [filter, list(case, result), forwarded(case)].into_iter().flatten().collect()
}

/// A filter's field above the signature, before the next host took over.
fn filter(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let above: Vec<_> = case.header.fields().take(result.field).collect();
    let same_host = above.iter().rev().take_while(|field| !field.is("Received"));
    let field = same_host.into_iter().find(|field| FILTER_FIELDS.iter().any(|name| field.is(name)))?;
    let name = String::from_utf8_lossy(field.name()).into_owned();
    let claim = format!("{name} stands above the signature with no hop between them: a filter ran behind the signer");
    let finding = Finding::note(&causes::SIGNING_BEFORE_MODIFIER, Confidence::Likely, claim)
        .with("the filter's field", Value::Header(super::diff::text(field.raw())));
    Some(fix(&causes::SIGNING_BEFORE_MODIFIER).iter().fold(finding, |finding, step| finding.fix(*step)))
}

/// A list's field that the signature does not cover.
fn list(case: &Case<'_>, result: &DkimResult) -> Option<Finding> {
    let names = ["List-Id", "List-Post", "X-BeenThere", "X-Mailman-Version", "Mailing-List", "X-Google-Group-Id"];
    let signed = |name: &str| result.signature.fields.iter().any(|field| field.eq_ignore_ascii_case(name));
    let (field, name) =
        names.iter().filter(|name| !signed(name)).find_map(|name| Some((case.header.named(name).next()?, *name)))?;
    let claim = format!("the message came through a mailing list: {name} was put in after signing");
    let finding = Finding::note(&causes::MAILING_LIST_MODIFIED, Confidence::Likely, claim)
        .with("the list's field", Value::Header(super::diff::text(field.raw())));
    Some(fix(&causes::MAILING_LIST_MODIFIED).iter().fold(finding, |finding, step| finding.fix(*step)))
}

/// Fields of a resent message.
fn forwarded(case: &Case<'_>) -> Option<Finding> {
    let field = case.header.fields().find(|field| field.is("Resent-From") || field.is("Resent-Message-ID"))?;
    let claim = "the message was sent again by somebody who received it";
    let finding = Finding::note(&causes::RESENT, Confidence::Possible, claim)
        .with("the field of the resender", Value::Header(super::diff::text(field.raw())));
    Some(fix(&causes::RESENT).iter().fold(finding, |finding, step| finding.fix(*step)))
}

/// What to do about a change.
pub fn fix(cause: &'static Cause) -> &'static [&'static str] {
    match cause.code {
        "body-footer-appended" | "body-banner-inserted" => &[
            "sign after the filter that adds the text: place waxseal last in smtpd_milters, or sign on the last hop behind the content_filter",
            "on the receiving side: verify before the filter that adds the text",
        ],
        "body-mime-wrapped" => &[
            "sign behind the gateway that wraps the message, or exempt signed mail from wrapping",
            "for a mailing list: let the list send a footer as a header field, and rely on its own signature or on ARC",
        ],
        "body-transfer-encoding-converted" => &[
            "sign mail that is 7bit already: let the sending program encode with quoted-printable or base64",
            "in Postfix: the SMTP client converts on delivery, behind the milters, where the next hop does not announce 8BITMIME; disable_mime_output_conversion = yes stops it",
        ],
        "body-long-lines-wrapped" => &[
            "encode or wrap lines beyond 998 octets before signing: quoted-printable or base64 in the sending program",
            "Postfix breaks such lines at smtp_line_length_limit on delivery, behind the milters",
        ],
        "body-line-endings-changed" => &[
            "let the signer see CRLF line ends: in Postfix keep cleanup_replace_stray_cr_lf on, and repair the program that sends bare CR or LF",
        ],
        "body-from-escaped" => {
            &["take the mbox file out of the way of the message, or deliver with quoting that the reader undoes"]
        }
        "body-dot-changed" => &["repair the relay or script that doubles leading dots and does not take them back"],
        "body-leading-blank-line" => {
            &["repair the program that writes the message: one empty line stands between header and body"]
        }
        "body-trailing-whitespace" => {
            &["sign with c=relaxed/relaxed, which does not count blanks at the ends of lines"]
        }
        "body-charset-converted" => {
            &["sign mail in the charset in which it travels: exempt signed mail from the gateway's conversion"]
        }
        "body-urls-rewritten" | "body-tracking-inserted" => {
            &["sign behind the service that rewrites links, or verify before it; exempt signed mail from it otherwise"]
        }
        "body-attachment-removed" => {
            &["verify before the filter that takes attachments out; the sender can do nothing"]
        }
        "body-truncated" => {
            &["look for a size limit on the way, and for a log line of a connection that was lost during DATA"]
        }
        "header-subject-tagged" => &[
            "put the tag into a field of its own and not into the subject, or tag before signing",
            "for a mailing list: rely on the list's own signature, on ARC, or on From rewriting",
        ],
        "header-subject-reencoded" | "header-raw-8bit-encoded" => &[
            "let the sending program encode header fields (RFC 2047) before signing, and sign behind the relay that encodes them anew",
        ],
        "header-from-rewritten" => &["nothing at the sender: the list writes its own author and signs for itself"],
        "header-address-rewritten" => &[
            "rewrite addresses before signing: in Postfix canonical_maps and masquerade_domains act in cleanup, before the milters; smtp_generic_maps act on delivery, behind them",
            "on later hops: leave local_header_rewrite_clients at its default, so that they add no domain to mail of others",
        ],
        "header-added-after-signing" => &[
            "let the sending program write the field itself, or add it before the signing milter runs",
            "in Postfix: always_add_missing_headers on the signing hop, and no milter behind the signer that adds it",
        ],
        "header-message-id-replaced" | "header-date-rewritten" => {
            &["leave the field out of h= where a relay replaces it, or sign at that relay"]
        }
        "header-mime-rewritten" => &["sign behind the gateway that rewrites MIME fields"],
        "header-refolded" => &["sign with c=relaxed/relaxed, which does not count folds and blanks"],
        "header-long-folded" => &["fold long fields before signing: no line of a header field beyond 998 octets"],
        "header-duplicated" | "header-reordered" => {
            &["let the signer take fields of one name from the bottom up, and sign every name once more than it occurs"]
        }
        "header-removed" => &["leave the field out of h=, or see that no relay takes it out"],
        "header-leading-space-lost" => &[
            "let the milter see fields as they are: waxseal negotiates SMFIP_HDR_LEADSPC; sign with c=relaxed where another filter does not",
        ],
        "signing-before-modifier" => {
            &["put the signer last: behind content_filter re-injection, and last in smtpd_milters"]
        }
        "mailing-list-modified" => &[
            "nothing at the sender: rely on the list's own signature or on ARC, and let DMARC quarantine rather than reject where subscribers write to lists",
        ],
        "resent-or-forwarded-inline" => &["nothing at the sender: whoever sends a message again should sign it again"],
        _ => &[],
    }
}
