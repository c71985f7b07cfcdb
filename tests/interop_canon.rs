//! Our canonicalization against an independent one; `tests/long/canon-dkimpy` does the same a hundred thousand times.

mod common;

#[test]
fn canonicalization_agrees_with_dkimpy() {
    let report = common::canon::compare(6376, 2_000);
    assert!(report.differences.is_empty(), "{report}");
    assert_eq!(report.compared, 8_000);
}
