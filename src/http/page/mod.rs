//! The pages: what they share, and what they are allowed to do in a browser.
//!
//! A page needs no script and nothing from elsewhere: its style stands in it, and the policy that goes with it
//! (Content-Security-Policy) forbids everything else, so that even text that got past the escaping could run nothing.

mod causes;
mod chart;
mod overview;
mod text;

pub(super) use causes::{cause, list};
pub(super) use overview::{Overview, overview};

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The style of every page.
const STYLE: &str = include_str!("style.css");

/// The seal, as the picture of the page.
pub(super) const SEAL: &str = include_str!("seal.svg");

/// What a browser may do with a page: show it, with the one style whose digest is this.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// A whole page around its contents.
fn whole(title: &str, host: &str, contents: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (title) }
                link rel="icon" href="/seal.svg" type="image/svg+xml";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the contents" }
                header.top {
                    a.brand href="/" {
                        img src="/seal.svg" alt="" width="40" height="40";
                        span { strong { "Waxseal" } span.host { (text::shown(host)) } }
                    }
                    nav aria-label="Pages" {
                        a href="/" { "Status" }
                        a href="/causes" { "Causes" }
                    }
                }
                main id="main" tabindex="-1" { (contents) }
                footer {
                    p {
                        "Waxseal " (env!("CARGO_PKG_VERSION")) " · read-only · "
                        a href="/metrics" { "metrics" } " · " a href="/healthz" { "health" }
                    }
                }
            }
        }
    };
    text::swept(page.into_string())
}
