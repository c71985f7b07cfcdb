//! Metrics, health and the status page, over HTTP/1.1 at an address of this host; off unless a setting says where.
//!
//! Everything here is read-only and off the mail path: numbers are atomics, the store is asked with a bound and a short
//! cache, and a fault of anything is an answer that says so. This folder alone knows axum. Nobody is asked for a password,
//! so whoever can connect can read; a page of a stranger in somebody's browser cannot, since its host name is refused
//! (DNS rebinding), and no script runs here (Content-Security-Policy).

mod cache;
mod exposition;
mod health;
mod listen;
mod page;
mod report;

use crate::{config, diagnose::register, milter::View};
use axum::{
    Router,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use cache::Cache;
use health::Health;
use listen::Listener;
use report::{Domains, Period, Stored};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::task::JoinHandle;

/// What all requests share.
struct Site {
    view: View,
    health: Health,
    domains: Cache<Domains>,
    /// One for each period.
    stored: [Cache<Result<Stored, String>>; 3],
    /// Is the socket on an address that this host alone reaches? Then only its own names are answered to.
    loopback: bool,
}

/// A socket that is bound, and not served yet; nothing where none is wanted.
pub struct Prepared(Change);

enum Change {
    /// It is served already.
    Same,
    Other(Option<(Listener, SocketAddr)>),
}

/// Serves metrics and the page where the settings say, and nowhere else.
pub struct Server {
    view: View,
    wanted: Option<SocketAddr>,
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves nothing yet.
    pub fn new(view: View) -> Server {
        Server { view, wanted: None, running: None }
    }

    /// Binds what new settings ask for; needs a tokio runtime. The text says what is wrong.
    pub fn prepare(&self, settings: &config::Http) -> Result<Prepared, String> {
        if self.wanted == settings.listen {
            return Ok(Prepared(Change::Same));
        }
        let Some(address) = settings.listen else { return Ok(Prepared(Change::Other(None))) };
        let bound = Listener::bind(address)
            .map_err(|error| format!("http.listen: cannot listen on {address}: {error}; is another program there?"))?;
        Ok(Prepared(Change::Other(Some((bound, address)))))
    }

    /// Serves what was prepared, in place of what was served before.
    pub fn switch(&mut self, prepared: Prepared) {
        let Change::Other(other) = prepared.0 else { return };
        self.stop();
        let Some((listener, wanted)) = other else { return };
        let address = listener.address();
        let loopback = address.ip().to_canonical().is_loopback();
        let site = Arc::new(Site {
            view: self.view.clone(),
            health: Health::default(),
            domains: Cache::default(),
            stored: Default::default(),
            loopback,
        });
        let task = tokio::spawn(async move {
            // It never ends by itself: a failed accept is tried again.
            let _ = axum::serve(listener, router(site)).await;
        });
        self.wanted = Some(wanted);
        self.running = Some(Running { address, task });
    }

    /// Where it is served: the real port where port 0 was configured.
    pub fn address(&self) -> Option<SocketAddr> {
        self.running.as_ref().map(|running| running.address)
    }

    /// Serves nothing any more.
    pub fn stop(&mut self) {
        self.wanted = None;
        if let Some(running) = self.running.take() {
            running.task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/causes", get(causes))
        .route("/causes/{code}", get(cause))
        .route("/seal.svg", get(seal))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .fallback(|| async { nothing() })
        .layer(middleware::from_fn_with_state(site.clone(), guard))
        .with_state(site)
}

async fn metrics(State(site): State<Arc<Site>>) -> Response {
    ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], exposition::text(&site.view)).into_response()
}

async fn healthz(State(site): State<Arc<Site>>) -> Response {
    let (ready, text) = site.health.judge(&site.view).await;
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text).into_response()
}

async fn overview(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let period = Period::read(query.as_deref());
    let (view, other) = (site.view.clone(), site.view.clone());
    let cache = &site.stored[Period::ALL.iter().position(|one| *one == period).unwrap_or(0)];
    let (health, stored, domains) = tokio::join!(
        site.health.judge(&site.view),
        cache.get(move || report::stored(&view, period)),
        site.domains.get(move || report::domains(&other)),
    );
    html(page::overview(&page::Overview { host: site.view.host(), period, health, stored, domains }))
}

async fn causes(State(site): State<Arc<Site>>) -> Response {
    html(page::list(site.view.host()))
}

async fn cause(State(site): State<Arc<Site>>, Path(code): Path<String>) -> Response {
    match register::find(&code) {
        Some(cause) => html(page::cause(site.view.host(), cause)),
        None => nothing(),
    }
}

async fn seal() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], page::SEAL).into_response()
}

/// A page, with what a browser may do with it.
fn html(page: String) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
    if let Ok(policy) = HeaderValue::from_str(&page::POLICY) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "there is nothing of this name here\n").into_response()
}

/// What holds for every request and every answer.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut response = if site.loopback && !is_local_name(host) {
        (StatusCode::MISDIRECTED_REQUEST, "ask by address or as localhost: this name is not mine\n").into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        // One request a connection, so that the deadline of a connection is that of a request.
        (header::CONNECTION, "close"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
        .headers_mut()
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

/// Can a `Host` field only come from who meant this host? An address can; a name may be a stranger's, whose name server
/// says that it is here.
fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_names_of_this_host() {
        for (host, want) in [
            ("127.0.0.1:9891", true),
            ("127.0.0.1", true),
            ("[::1]:9891", true),
            ("LOCALHOST:9891", true),
            ("wax.localhost", true),
            ("rebound.example:9891", false),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("", false),
        ] {
            assert_eq!(is_local_name(host), want, "{host}");
        }
    }
}
