//! One signed message in the record: written as octets, and read back as far as it is whole.

use super::{Digest, Id, WordDigest};
use crate::dkim::Canon;

/// What is known of a message that we signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// By what it is found.
    pub ids: Vec<Id>,
    /// When it was signed, in seconds since 1970.
    pub time: u64,
    /// What its key is made of.
    pub salt: [u8; 16],
    /// Canonicalization of header and body.
    pub canonicalization: (Canon, Canon),
    /// The signed fields, in the order of h=.
    pub fields: Vec<SignedField>,
    /// The lines of the canonical body.
    pub lines: Vec<Digest>,
    /// Are these all lines?
    pub complete: bool,
}

/// A signed field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedField {
    /// Its name, in lower case.
    pub name: String,
    /// Of its canonical form.
    pub whole: Digest,
    /// Of each word of it; nothing where there were too many.
    pub words: Vec<WordDigest>,
}

/// The form of these octets; another form is not read.
const FORM: u8 = 1;

/// No entry is longer: names, words and lines are bounded where they are made.
const MAX_OCTETS: usize = 4 * 1024 * 1024;

impl Entry {
    /// The entry as octets, its length first.
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        out.push(FORM);
        out.push(self.ids.len().min(255) as u8);
        self.ids.iter().take(255).for_each(|id| out.extend_from_slice(id));
        out.extend_from_slice(&self.time.to_be_bytes());
        out.extend_from_slice(&self.salt);
        let simple = |canon: Canon| u8::from(canon == Canon::Simple);
        out.push(simple(self.canonicalization.0) << 1 | simple(self.canonicalization.1));
        out.push(u8::from(self.complete));
        out.extend_from_slice(&(self.fields.len() as u16).to_be_bytes());
        for field in &self.fields {
            let name = &field.name.as_bytes()[..field.name.len().min(255)];
            out.push(name.len() as u8);
            out.extend_from_slice(name);
            out.extend_from_slice(&field.whole);
            out.push(field.words.len().min(255) as u8);
            field.words.iter().take(255).for_each(|word| out.extend_from_slice(word));
        }
        out.extend_from_slice(&(self.lines.len() as u32).to_be_bytes());
        self.lines.iter().for_each(|line| out.extend_from_slice(line));
        let length = (out.len() - 4) as u32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        out
    }

    /// The entries of a file that are found by one of these; what was torn at its end is left.
    pub fn find(mut file: &[u8], wanted: &[Id]) -> Vec<Entry> {
        let mut found = Vec::new();
        while let Some((length, rest)) = file.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some(octets) = rest.get(..length).filter(|_| length <= MAX_OCTETS) else { break };
            file = &rest[length..];
            found.extend(Entry::read(octets, wanted));
        }
        found
    }

    /// `None` where it is none of those that are wanted, or cannot be read.
    fn read(octets: &[u8], wanted: &[Id]) -> Option<Entry> {
        let mut reader = Reader(octets);
        let ([FORM], [count]) = (reader.take::<1>()?, reader.take::<1>()?) else { return None };
        let ids: Vec<Id> = (0..count).map(|_| reader.take()).collect::<Option<_>>()?;
        if !ids.iter().any(|id| wanted.contains(id)) {
            return None;
        }
        let (time, salt) = (u64::from_be_bytes(reader.take()?), reader.take()?);
        let ([canon], [complete]) = (reader.take()?, reader.take()?);
        let of = |bit: u8| if canon & bit == 0 { Canon::Relaxed } else { Canon::Simple };
        let count = u16::from_be_bytes(reader.take()?);
        let mut fields = Vec::new();
        for _ in 0..count {
            let [length] = reader.take()?;
            let name = String::from_utf8(reader.octets(length.into())?.to_vec()).ok()?;
            let (whole, [words]) = (reader.take()?, reader.take()?);
            let words = (0..words).map(|_| reader.take()).collect::<Option<_>>()?;
            fields.push(SignedField { name, whole, words });
        }
        let count = u32::from_be_bytes(reader.take()?);
        let lines = (0..count).map(|_| reader.take()).collect::<Option<_>>()?;
        Some(Entry { ids, time, salt, canonicalization: (of(2), of(1)), fields, lines, complete: complete == 1 })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written_and_as_far_as_they_are_whole() {
        let entry = |id: u8| Entry {
            ids: vec![[id; 16], [id + 100; 16]],
            time: 1_795_000_000,
            salt: [9; 16],
            canonicalization: (Canon::Relaxed, Canon::Simple),
            fields: vec![SignedField { name: "subject".into(), whole: [3; 8], words: vec![[4; 4], [5; 4]] }],
            lines: vec![[6; 8]; 300],
            complete: id == 1,
        };
        let file = [entry(1).write(), entry(2).write(), entry(3).write()].concat();
        assert_eq!(Entry::find(&file, &[[102; 16]]), [entry(2)]);
        assert_eq!(Entry::find(&file, &[[1; 16], [3; 16]]), [entry(1), entry(3)]);
        assert_eq!(Entry::find(&file, &[[9; 16]]), []);
        // The end of the file was not written when the power failed.
        assert_eq!(Entry::find(&file[..file.len() - 1], &[[1; 16], [3; 16]]), [entry(1)]);
        for cut in 0..200 {
            let _ = Entry::find(&file[cut..], &[[1; 16]]);
        }
    }
}
