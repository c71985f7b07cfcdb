//! A domain name as DNS has it: labels of any octets, compared without case.
//!
//! Mail domains are [`crate::name::DomainName`]; this type is for what DNS itself can hold and what the macros of SPF can
//! produce. A question's text is taken literally (a backslash is a backslash); a name that is shown has the escapes of
//! RFC 1035 §5.1, so that two names never look alike.

use std::fmt::Write;

/// A name as the wire has it, without the root's empty label: each label after its length; ASCII letters lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Labels(Vec<u8>);

impl Labels {
    /// Reads the text of a question. The error says why such a name cannot be asked.
    pub(crate) fn from_question(text: &str) -> Result<Labels, String> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.contains('\0') {
            return Err("a NUL in the name".into());
        }
        let mut labels = Labels::default();
        for label in text.split('.') {
            labels.push(label.as_bytes())?;
        }
        Ok(labels)
    }

    /// Appends one label.
    pub(crate) fn push(&mut self, label: &[u8]) -> Result<(), String> {
        match label.len() {
            0 => return Err("an empty label".into()),
            1..=63 => {}
            long => return Err(format!("a label of {long} octets, more than 63 (RFC 1035 §2.3.4)")),
        }
        self.0.push(label.len() as u8);
        self.0.extend(label.iter().map(u8::to_ascii_lowercase));
        self.check_length()
    }

    /// Appends the labels of another name.
    pub(crate) fn append(&mut self, origin: &Labels) -> Result<(), String> {
        self.0.extend_from_slice(&origin.0);
        self.check_length()
    }

    fn check_length(&self) -> Result<(), String> {
        // The root's empty label is the 255th octet.
        if self.0.len() > 254 { Err("a name of more than 255 octets (RFC 1035 §2.3.4)".into()) } else { Ok(()) }
    }

    /// The octets, as described at the type.
    pub(crate) fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels, leftmost first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (label, tail) = after.split_at_checked(usize::from(*length))?;
            rest = tail;
            Some(label)
        })
    }

    /// The octets of this name, of its parent, and so on up to the root, which has none.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &[u8]> {
        let mut next = Some(self.0.as_slice());
        std::iter::from_fn(move || {
            let this = next?;
            next = this.split_first().and_then(|(length, after)| after.get(usize::from(*length)..));
            Some(this)
        })
    }

    /// The name as text without a final dot. Control characters, backslashes, dots inside a label and what is not UTF-8
    /// are escaped.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for (index, label) in self.iter().enumerate() {
            if index > 0 {
                text.push('.');
            }
            for chunk in label.utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        '\\' => text.push_str("\\\\"),
                        '.' => text.push_str("\\."),
                        c if c.is_ascii_control() => escape(&mut text, c as u8),
                        c => text.push(c),
                    }
                }
                chunk.invalid().iter().for_each(|octet| escape(&mut text, *octet));
            }
        }
        text
    }
}

/// Writes one octet as `\DDD`.
pub(crate) fn escape(text: &mut String, octet: u8) {
    write!(text, "\\{octet:03}").expect("writing to a String does not fail");
}

/// The text of an ancestor as [`Labels::ancestors`] gives it.
pub(crate) fn text_of(wire: &[u8]) -> String {
    Labels(wire.to_vec()).text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_literal_and_names_are_escaped() {
        for (question, want) in [
            ("Example.COM.", "example.com"),
            ("a b._spf.example", "a b._spf.example"),
            ("a\\b.example", "a\\\\b.example"),
            ("tab\tbed.example", "tab\\009bed.example"),
            ("ü.example", "ü.example"),
        ] {
            assert_eq!(Labels::from_question(question).map(|name| name.text()).as_deref(), Ok(want), "{question:?}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let longest =
            [&"a".repeat(63), &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].map(|s| s.as_str()).join(".");
        assert!(Labels::from_question(&longest).is_ok(), "253 characters fit");
        for question in ["", ".", "a..b", ".a", "a..", "a\0b", &"a".repeat(64), &format!("{longest}x"), &"ü".repeat(32)]
        {
            assert!(Labels::from_question(question).is_err(), "{question:?}");
        }
    }

    #[test]
    fn ancestors_end_at_the_root() {
        let name = Labels::from_question("a.bc.d").expect("a name");
        assert_eq!(name.ancestors().map(text_of).collect::<Vec<_>>(), ["a.bc.d", "bc.d", "d", ""]);
    }
}
