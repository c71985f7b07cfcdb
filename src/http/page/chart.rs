//! Charts as inline SVG: two stacked counts over time, readable as a picture, by its titles, and as a table beneath.
//!
//! The drawing is stretched to the width that there is; words stand beside it and not in it, so that they are never
//! stretched or too small.

use super::text::{number, plain_time, sentence, time};
use maud::{Markup, html};

/// One span of time.
pub(super) struct Bar {
    /// Its start, in milliseconds since 1970.
    pub start: i64,
    /// What went well.
    pub good: i64,
    /// What did not.
    pub bad: i64,
}

/// What a chart is of.
pub(super) struct Names {
    /// An identifier in the page.
    pub id: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What went well.
    pub good: &'static str,
    /// What did not.
    pub bad: &'static str,
}

/// The drawing, in units of its own: it is stretched.
const HEIGHT: i64 = 1000;
const SLOT: i64 = 100;
const GAP: i64 = 22;

/// Draws bars, the oldest first; `form` is how the start of a span is told.
pub(super) fn draw(names: &Names, bars: &[Bar], form: &str) -> Markup {
    let most = bars.iter().map(|bar| bar.good + bar.bad).max().unwrap_or(0);
    let top = round_up(most);
    let (good, bad) = bars.iter().fold((0, 0), |(good, bad), bar| (good + bar.good, bad + bar.bad));
    let width = SLOT * i64::try_from(bars.len()).unwrap_or(1);
    let said = format!(
        "{}: {} {}, {} {}; at most {} in one span.",
        names.title,
        number(good),
        names.good,
        number(bad),
        names.bad,
        number(most)
    );
    html! {
        figure.chart aria-labelledby=(format!("{}-name", names.id)) {
            figcaption {
                h3 id=(format!("{}-name", names.id)) { (names.title) }
                p.legend {
                    span.key.good { (number(good)) " " (names.good) }
                    span.key.bad { (number(bad)) " " (names.bad) }
                }
            }
            div.plot {
                p.scale aria-hidden="true" { span { (number(top)) } span { (number(top / 2)) } span { "0" } }
                svg role="img" viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none"
                    aria-labelledby=(format!("{0}-title {0}-desc", names.id)) {
                    title id=(format!("{}-title", names.id)) { (names.title) " over time" }
                    desc id=(format!("{}-desc", names.id)) { (said) }
                    @for line in [0, HEIGHT / 2, HEIGHT] {
                        line.rule x1="0" x2=(width) y1=(line) y2=(line) {}
                    }
                    @for (at, bar) in (0i64..).zip(bars) { (drawn(names, at, bar, top, form)) }
                }
                p.span-names aria-hidden="true" {
                    @for bar in ends(bars) { span { (plain_time(bar.start, form)) } }
                }
            }
            details {
                summary { "The numbers" span.visually-hidden { " of " (names.title.to_lowercase()) } }
                (table(names, bars, form))
            }
        }
    }
}

/// One bar: what went well at the bottom, the rest above it, and a title over the whole height to point at.
fn drawn(names: &Names, at: i64, bar: &Bar, top: i64, form: &str) -> Markup {
    let height = |count: i64| match count {
        0 => 0,
        // Whatever is there is seen.
        count => (count * HEIGHT / top).max(HEIGHT / 80),
    };
    let (good, bad) = (height(bar.good), height(bar.bad));
    let bad_y = (HEIGHT - good - bad).max(0);
    let x = at * SLOT + GAP / 2;
    html! {
        g.span {
            title {
                (plain_time(bar.start, form)) ": " (number(bar.good)) " " (names.good) ", " (number(bar.bad)) " " (names.bad)
            }
            rect.touch x=(at * SLOT) y="0" width=(SLOT) height=(HEIGHT) {}
            @if good > 0 { rect.good x=(x) y=(HEIGHT - good) width=(SLOT - GAP) height=(good) {} }
            @if bad > 0 { rect.bad x=(x) y=(bad_y) width=(SLOT - GAP) height=(bad) {} }
        }
    }
}

fn table(names: &Names, bars: &[Bar], form: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(format!("{}: the numbers", names.title)) {
            table {
                caption.visually-hidden { (names.title) ", span by span" }
                thead { tr { th scope="col" { "from" } th.count scope="col" { (sentence(names.good)) } th.count scope="col" { (sentence(names.bad)) } } }
                tbody {
                    @for bar in bars.iter().rev() {
                        tr { th scope="row" { (time(bar.start, form)) } td.count { (number(bar.good)) } td.count { (number(bar.bad)) } }
                    }
                }
            }
        }
    }
}

/// The first span, the middle one and the last.
fn ends(bars: &[Bar]) -> impl Iterator<Item = &Bar> {
    [bars.first(), bars.get(bars.len() / 2), bars.last()].into_iter().flatten()
}

/// The end of a scale: the next round number whose half is a whole one.
fn round_up(most: i64) -> i64 {
    const STEPS: [i64; 13] = [2, 4, 6, 8, 10, 12, 16, 20, 30, 40, 50, 60, 80];
    let mut power = 1;
    loop {
        if let Some(step) = STEPS.into_iter().find(|step| most <= step * power) {
            return step * power;
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number_and_bars_stay_in_it() {
        for (most, want) in
            [(0, 2), (2, 2), (3, 4), (5, 6), (11, 12), (40, 40), (41, 50), (122, 160), (123_456, 160_000)]
        {
            assert_eq!(round_up(most), want);
        }
        let names = Names { id: "x", title: "X", good: "good", bad: "bad" };
        let bars = [Bar { start: 0, good: 10, bad: 0 }, Bar { start: 1, good: 9_999, bad: 1 }];
        let svg = draw(&names, &bars, "%H:00").into_string();
        assert!(svg.contains("y=\"1\" width=\"78\" height=\"999\""), "{svg}");
        assert!(
            svg.contains("class=\"bad\" x=\"111\" y=\"0\" width=\"78\" height=\"12\""),
            "one in ten thousand is seen: {svg}"
        );
        assert!(draw(&names, &[], "%H:00").into_string().contains("0 good, 0 bad"));
    }
}
