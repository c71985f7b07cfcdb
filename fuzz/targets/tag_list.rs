//! A tag list: every tag stands where it says, and names of a list without problems are unique.

use std::collections::HashSet;
use waxseal::dkim::tag::{self, TagList};

/// Reads the input as a tag list.
pub fn run(data: &[u8]) {
    let list = TagList::read(data);
    let mut names = HashSet::new();
    let mut end = 0;
    for tag in &list.tags {
        assert!(tag.range.start >= end && tag.range.end <= data.len(), "tags stand one behind the other");
        end = tag.range.end;
        let written = std::str::from_utf8(&data[tag.range.clone()]).expect("tags are read from text");
        assert_eq!(tag::trim(written), tag.value);
        assert!(!tag::without_blanks(tag.value).contains([' ', '\t']));
        assert!(names.insert(tag.name) || !list.problems.is_empty(), "a name twice is a problem");
        assert!(list.get(tag.name).is_some());
    }
    for problem in &list.problems {
        assert!(problem.at <= data.len() && !problem.to_string().is_empty());
    }
}
