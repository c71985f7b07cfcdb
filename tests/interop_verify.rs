//! Our DKIM verdicts against an independent verifier's; `tests/long/dkim-differential` does the same a hundred thousand
//! times.

mod common;

#[test]
fn every_disagreement_with_dkimpy_has_a_reason() {
    let report = common::differential::compare(8301, 2_000);
    assert!(report.unexplained.is_empty(), "{report}");
    assert_eq!(report.messages, 2_000);
    assert!(report.passed > 200, "hardly anything passes: {report}");
}
