//! The numbers of the process in the text format of Prometheus (version 0.0.4), under the names that dashboards rely on.
//!
//! Written here: eight families of two kinds need fewer lines than an exporter's crate would need to be told of them.

use crate::{event::metrics::Histogram, milter::View, watch::State};
use std::fmt::Write as _;

/// What the text is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics.
pub(super) fn text(view: &View) -> String {
    let metrics = view.metrics();
    let mut out = Exposition::default();
    out.family("waxseal_messages_total", "counter", "Messages by what was done and the result of the first signature.");
    for ((action, result), count) in metrics.messages() {
        out.sample("waxseal_messages_total", &[("action", action), ("result", result)], count);
    }
    out.family("waxseal_failures_total", "counter", "Messages from outside that failed by this cause.");
    for (cause, count) in metrics.failures() {
        out.sample("waxseal_failures_total", &[("cause", cause)], count);
    }
    out.family("waxseal_sign_seconds", "histogram", "How long the MTA waited at the end of a message to be signed.");
    out.histogram("waxseal_sign_seconds", &[], &metrics.sign);
    out.family("waxseal_verify_seconds", "histogram", "How long the MTA waited at the end of a message to be judged.");
    out.histogram("waxseal_verify_seconds", &[], &metrics.verify);
    out.family("waxseal_dns_seconds", "histogram", "How long name servers took to answer, by what they answered.");
    for (outcome, histogram) in metrics.dns() {
        out.histogram("waxseal_dns_seconds", &[("outcome", outcome)], histogram);
    }
    // A domain whose standing is unknown has no sample.
    out.family("waxseal_domain_ready", "gauge", "Can receivers verify what is signed for the domain? 1: yes, 0: no.");
    for key in view.readiness() {
        let ready = match key.state {
            State::Unknown => continue,
            State::Ready => 1,
            State::NotReady => 0,
        };
        let labels = [("domain", key.domain.as_str()), ("selector", key.selector.as_str())];
        out.sample("waxseal_domain_ready", &labels, ready);
    }
    out.family("waxseal_events_dropped_total", "counter", "Events that the store could not keep; the log has them.");
    out.sample("waxseal_events_dropped_total", &[], view.dropped());
    out.family("waxseal_connections", "gauge", "Connections of the MTA that are open.");
    out.sample("waxseal_connections", &[], view.connections());
    out.0
}

#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
        let counted = histogram.counted();
        let bucket = format!("{name}_bucket");
        let bounds = counted.buckets.iter().map(|(micros, count)| (seconds(u128::from(*micros) * 1000), *count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), counted.count)]) {
            self.sample(&bucket, &[labels, &[("le", &bound)]].concat(), count);
        }
        self.sample(&format!("{name}_sum"), labels, seconds(u128::from(counted.nanos)));
        self.sample(&format!("{name}_count"), labels, counted.count);
    }
}

/// Nanoseconds as seconds, exactly: `0.0025`.
fn seconds(nanos: u128) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A label's value: backslash, quote and line feed are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_end_early_and_seconds_are_exact() {
        let mut out = Exposition::default();
        out.sample("waxseal_x", &[("a", "q\"\\\nz"), ("b", "c")], 3);
        out.sample("waxseal_y", &[], 4);
        assert_eq!(out.0, "waxseal_x{a=\"q\\\"\\\\\\nz\",b=\"c\"} 3\nwaxseal_y 4\n");
        for (nanos, want) in [(0, "0"), (250_000, "0.00025"), (1_000_000_000, "1"), (25_000_000_001, "25.000000001")] {
            assert_eq!(seconds(nanos), want);
        }
    }
}
