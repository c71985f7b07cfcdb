//! An SPF record: its terms stand where they say, and problems are problems of a place in it.

use waxseal::spf::{self, MacroString, Record, Selection, TermKind};

/// Reads the input as a record, as an explanation, and as one of several records.
pub fn run(data: &[u8]) {
    let (record, problems) = Record::read(data);
    assert_eq!(record.as_bytes(), data);
    for term in record.terms() {
        assert!(term.range.start <= term.range.end && term.range.end <= data.len());
        let same = record.with_replaced(term.range.clone(), &data[term.range.clone()]);
        assert_eq!(same, data, "a term replaced by itself changes nothing");
        record.text(term.range.clone());
    }
    let unreadable = record.terms().iter().any(|term| matches!(term.kind, TermKind::Unreadable));
    assert!(!unreadable || !problems.is_empty(), "what cannot be read has a problem");
    assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
    record.redirect();
    record.exp();
    if record.is_valid() {
        let (more, _) = Record::read(&record.with_added("ip4:192.0.2.1"));
        assert!(more.is_valid(), "a valid record with one more valid term is valid");
    }
    let _ = MacroString::read_explanation(data);
    let records = data.split(|&byte| byte == b'\n');
    if let Selection::One(one) = spf::select(records.clone()) {
        assert!(spf::has_version(one) && records.filter(|record| spf::has_version(record)).count() == 1);
    }
}
