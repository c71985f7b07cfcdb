//! Running text in columns: broken between words where the screen ends.
//!
//! Who writes a line knows what stands before the text; here it is cut into pieces that fit into what is left. A word that
//! is wider than that stays whole: a name or a record that is to be copied must not be torn.

/// Fewer columns are no text any more: a screen that is narrower breaks the lines by itself.
const LEAST: usize = 20;

/// The pieces of a text, each at most `width` columns wide; always at least one. `None`: it stays one piece.
pub fn pieces(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width.map(|width| width.max(LEAST)) else { return vec![text.to_owned()] };
    let words = text.trim_start_matches(' ');
    // Blanks at the beginning indent the piece.
    let indent = text.len() - words.len();
    let (mut pieces, mut line, mut filled) = (Vec::new(), " ".repeat(indent), indent);
    let mut first = true;
    for word in words.split(' ') {
        let columns = columns(word);
        if !first && filled + 1 + columns > width {
            pieces.push(std::mem::take(&mut line));
            filled = 0;
        } else if !first {
            line.push(' ');
            filled += 1;
        }
        first = false;
        line.push_str(word);
        filled += columns;
    }
    pieces.push(line);
    for piece in &mut pieces {
        piece.truncate(piece.trim_end().len());
    }
    pieces
}

/// The columns that a terminal needs for a text without control characters: two for the signs of East Asia.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// The large blocks of East_Asian_Width=Wide and Fullwidth (Unicode UAX #11).
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff01..=0xff60
        | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        for (text, width, want) in [
            ("", Some(20), &[""][..]),
            ("one", Some(20), &["one"]),
            ("twenty columns are it", Some(21), &["twenty columns are it"]),
            ("twenty columns are it", Some(20), &["twenty columns are", "it"]),
            ("  indented, and then it goes on", Some(20), &["  indented, and then", "it goes on"]),
            ("a averylongwordthatfitsnowhere b", Some(20), &["a", "averylongwordthatfitsnowhere", "b"]),
            ("결제 결제 결제 결제 결제", Some(20), &["결제 결제 결제 결제", "결제"]),
            ("narrower than can be read", Some(1), &["narrower than can be", "read"]),
            ("as long as it is, it stays one", None, &["as long as it is, it stays one"]),
        ] {
            assert_eq!(pieces(text, width), want, "{text:?} {width:?}");
        }
    }
}
