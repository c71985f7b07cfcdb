//! Changes as people want to see them: the lines that differ, before and after, and no more than fits a screen.

use super::search;

/// Characters of one text that are shown.
const MAX_TEXT: usize = 2000;
/// Lines of a difference that are shown.
const MAX_LINES: usize = 12;
/// Characters of one line that are shown.
const MAX_LINE: usize = 200;

/// A text, cut where it is long.
pub fn text(octets: &[u8]) -> String {
    cut(&String::from_utf8_lossy(&octets[..octets.len().min(MAX_TEXT * 4)]), MAX_TEXT)
}

/// The first lines of a text.
pub fn head(octets: &[u8]) -> String {
    let lines: Vec<&[u8]> = search::lines(octets).take(5).collect();
    text(&lines.concat())
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The lines that differ: `-` before, `+` after. Lines that both begin or end with are left out.
pub fn lines(before: &[u8], after: &[u8]) -> String {
    let old: Vec<&[u8]> = search::lines(before).collect();
    let new: Vec<&[u8]> = search::lines(after).collect();
    let same_head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let room = old.len().min(new.len()) - same_head;
    let same_tail = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let old = &old[same_head..old.len() - same_tail];
    let new = &new[same_head..new.len() - same_tail];
    let mut out = String::new();
    for (mark, lines) in [('-', old), ('+', new)] {
        for line in lines.iter().take(MAX_LINES) {
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            let shown =
                String::from_utf8_lossy(&line[..line.len().min(MAX_LINE * 4)]).replace(['\r', '\n'], "\u{fffd}");
            out.push_str(&format!("{mark}{}\n", cut(&shown, MAX_LINE)));
        }
        if lines.len() > MAX_LINES {
            out.push_str(&format!("{mark}… {} more lines\n", lines.len() - MAX_LINES));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_what_differs_is_shown() {
        let shown = super::lines(b"a\r\nFrom x\r\nb\r\n", b"a\r\n>From x\r\nb\r\n");
        assert_eq!(shown, "-From x\n+>From x\n");
        assert_eq!(super::lines(b"a\r\n", b"a\r\nb\r\n"), "+b\n");
    }
}
