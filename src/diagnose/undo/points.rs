//! Where a footer or a banner of a text may start and end: at lines, and in HTML at tags.

use super::{
    mime::Part,
    search::{Points, lines},
};
use std::ops::Range;

/// Lines at the start and at the end of a part that may be a banner or a footer.
const EDGE_LINES: usize = 60;
/// Tags before `</body>`, and behind `<body>`.
const EDGE_TAGS: usize = 100;
/// How far into an HTML part those are looked for.
const EDGE_OCTETS: usize = 64 * 1024;

/// Where a footer of this part may start and end.
pub fn tail_points(body: &[u8], part: &Part) -> Points {
    let range = part.content.clone();
    let mut points = edge(body, range.clone(), false);
    points.ends = vec![range.end];
    if part.is_html() {
        let from = range.end.saturating_sub(EDGE_OCTETS).max(range.start);
        let text = body[from..range.end].to_ascii_lowercase();
        for tag in [&b"</body"[..], b"</html"] {
            if let Some(at) = text.windows(tag.len()).rposition(|word| word == tag) {
                points.ends.push(from + at);
            }
        }
        let tags = text.iter().enumerate().rev().filter(|(_, byte)| **byte == b'<').take(EDGE_TAGS);
        points.starts.extend(tags.map(|(at, _)| from + at));
    }
    points.starts.sort_unstable();
    points.starts.dedup();
    points
}

/// Where a banner of this part may start and end.
pub fn head_points(body: &[u8], part: &Part) -> Points {
    let range = part.content.clone();
    let mut points = edge(body, range.clone(), true);
    points.starts = vec![range.start];
    if part.is_html() {
        let until = range.end.min(range.start + EDGE_OCTETS);
        let text = body[range.start..until].to_ascii_lowercase();
        let behind = text
            .windows(5)
            .position(|word| word == b"<body")
            .and_then(|at| Some(at + text[at..].iter().position(|&b| b == b'>')? + 1));
        let from = behind.unwrap_or(0);
        if behind.is_some() {
            points.starts.push(range.start + from);
            if text[from..].starts_with(b"\r\n") {
                points.starts.push(range.start + from + 2);
            }
        }
        let tags = text[from..].iter().enumerate().filter(|(_, byte)| matches!(byte, b'<' | b'>')).take(2 * EDGE_TAGS);
        points.ends = tags.map(|(at, &byte)| range.start + from + at + usize::from(byte == b'>')).collect();
        let rest = range.start + from..range.end;
        points.ends.extend(edge(body, rest, true).ends);
    }
    points.ends.sort_unstable();
    points.ends.dedup();
    points
}

/// The starts and ends of the first or last lines of a range, as starts of a block at its end or ends of one at its start.
pub fn edge(body: &[u8], range: Range<usize>, head: bool) -> Points {
    let text = &body[range.clone()];
    let mut points = Vec::new();
    if head {
        let mut at = range.start;
        for line in lines(text).take(EDGE_LINES) {
            at += line.len();
            points.extend([at.saturating_sub(2), at]);
        }
        return Points { starts: Vec::new(), ends: points };
    }
    let ends = text.windows(2).enumerate().rev().filter(|(_, pair)| *pair == b"\r\n").take(EDGE_LINES);
    for (at, _) in ends {
        points.extend([range.start + at, range.start + at + 2]);
    }
    points.push(range.start);
    Points { starts: points, ends: Vec::new() }
}
