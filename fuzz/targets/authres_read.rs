//! Authentication-Results as somebody wrote them: what could be read can be written, and reads back the same.

use waxseal::authres::{Problem, claims, read};

/// Reads the input as the value of a field.
pub fn run(data: &[u8]) {
    let (field, problems) = read(data);
    claims(data, &field.authserv_id);
    claims(data, "mx.example.net");
    assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
    let text = field.value();
    shape(&text);
    let (again, more) = read(text.as_bytes());
    assert!(
        more.is_empty() || problems.contains(&Problem::NoAuthservId) || problems.contains(&Problem::Version),
        "{more:?}: {text}"
    );
    assert_eq!(again.value(), text);
}

/// One field: printable ASCII, folded, no line that SMTP cannot carry, none of blanks alone.
pub fn shape(value: &str) {
    for (number, line) in value.split('\n').enumerate() {
        assert!(line.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')), "{value:?}");
        assert!(!line.trim().is_empty() && line.len() < 960, "{value:?}");
        assert!(number == 0 || line.starts_with(['\t', ' ']), "{value:?}");
    }
}
