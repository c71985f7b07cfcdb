//! A message file: its line ends, and what there is to say about it.

use waxseal::cli::input::{notes, with_crlf};

/// Takes the input as a file.
pub fn run(data: &[u8]) {
    for note in notes(data) {
        assert!(!note.to_string().is_empty());
    }
    let once = with_crlf(data.to_vec());
    assert_eq!(once.iter().filter(|&&byte| byte != b'\r').count(), data.iter().filter(|&&byte| byte != b'\r').count());
    let twice = with_crlf(once.clone());
    assert_eq!(twice, once, "line ends that are right stay");
}
