//! Our canonicalization against dkimpy's, on random headers and bodies full of what canonicalization is about.
//!
//! Bodies go into ours cut at random places. A difference is reported unless it is one of dkimpy's own, each of which is
//! told from the input alone.

use super::{mail::Random, parts};
use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};
use waxseal::{
    dkim::{
        Canon,
        canon::{self, BodyCanon},
    },
    message::Header,
};

/// How a comparison ended.
#[derive(Debug, Default)]
pub struct Report {
    /// Outputs compared: four for each case.
    pub compared: usize,
    /// Differences that are dkimpy's own, by reason.
    pub own: BTreeMap<&'static str, usize>,
    /// The others.
    pub differences: Vec<String>,
}

struct Case {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    /// Where the body is cut.
    cuts: Vec<usize>,
}

struct Dkimpy {
    child: Child,
    requests: BufWriter<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Compares `count` random headers and bodies in all four combinations.
pub fn compare(seed: u64, count: usize) -> Report {
    let mut random = Random::new(seed);
    let mut dkimpy = Dkimpy::start();
    let mut report = Report::default();
    for _ in 0..count {
        let case = Case::random(&mut random);
        let theirs = dkimpy.canonicalize(&case).expect("dkimpy answers");
        let ours = [
            case.header(Canon::Simple),
            case.header(Canon::Relaxed),
            case.body(Canon::Simple),
            case.body(Canon::Relaxed),
        ];
        let own = [None, case.own_header(), None, case.own_body()];
        for (at, what) in ["simple header", "relaxed header", "simple body", "relaxed body"].into_iter().enumerate() {
            report.compared += 1;
            match (ours[at] == theirs[at], own[at]) {
                (true, _) => {}
                (false, Some(reason)) => *report.own.entry(reason).or_default() += 1,
                (false, None) => report.differences.push(format!(
                    "{what} of {case}\n  ours:   \"{}\"\n  dkimpy: \"{}\"",
                    ours[at].escape_ascii(),
                    theirs[at].escape_ascii()
                )),
            }
        }
    }
    report
}

impl Case {
    fn random(random: &mut Random) -> Case {
        const NAMES: [&[u8]; 6] = [b"From", b"SUBJECT", b"x-Odd_Name!", b"To ", b"Date\t", b"List-Id \t"];
        const VALUE: [&[u8]; 12] = [
            b" ",
            b"\t",
            b"  ",
            b"\r\n ",
            b"\r\n\t",
            b"\r\n \t ",
            b"word",
            b"A",
            b"\"q\"",
            b":",
            b"\xed\x95\x9c",
            b"\x0c",
        ];
        const BODY: [&[u8]; 14] = [
            b"\r\n",
            b"\r\n",
            b"\r\n\r\n",
            b" ",
            b"\t",
            b"  \t",
            b" \r\n",
            b"\t \r\n",
            b"word",
            b"x",
            b".",
            b"\r",
            b"\n",
            b"\x0c",
        ];
        let pieces = |random: &mut Random, from: &[&[u8]], most: usize| -> Vec<u8> {
            let count = random.below(most);
            (0..count).flat_map(|_| random.pick(from).to_vec()).collect()
        };
        let fields =
            (0..1 + random.below(4)).map(|_| (random.pick(&NAMES).to_vec(), pieces(random, &VALUE, 16))).collect();
        let most = if random.below(50) == 0 { 4_000 } else { 24 };
        let mut body = pieces(random, &BODY, most);
        if random.below(4) > 0 {
            body.extend_from_slice(b"\r\n");
        }
        let mut cuts: Vec<usize> = (0..random.below(5)).map(|_| random.below(body.len() + 1)).collect();
        cuts.sort_unstable();
        Case { fields, body, cuts }
    }

    fn header(&self, canon: Canon) -> Vec<u8> {
        let mut header = Header::new();
        for (name, value) in &self.fields {
            header.push(name, value);
        }
        let mut out = Vec::new();
        for field in header.fields() {
            canon::header_field(canon, field, &mut out);
        }
        out
    }

    fn body(&self, canon: Canon) -> Vec<u8> {
        let mut out = Vec::new();
        let mut take = |piece: &[u8]| out.extend_from_slice(piece);
        let mut canon = BodyCanon::new(canon);
        let mut from = 0;
        for &to in self.cuts.iter().chain([&self.body.len()]) {
            canon.write(&self.body[from..to], &mut take);
            from = to;
        }
        canon.finish(&mut take);
        out
    }

    /// §3.4.2 deletes WSP at both ends of a value, which is space and tab (RFC 5234); dkimpy takes away what Python calls
    /// white space, form feeds among it.
    fn own_header(&self) -> Option<&'static str> {
        let is_edge = |value: &Vec<u8>| {
            let mut text = value.iter().filter(|byte| !b" \t\r\n".contains(byte));
            text.next() == Some(&b'\x0c') || text.next_back() == Some(&b'\x0c')
        };
        self.fields.iter().any(|(_, value)| is_edge(value)).then_some("form feed at an end of a header field")
    }

    /// §3.4.3 and §3.4.4 complete the last line; dkimpy looks for blanks at its end before it does so.
    fn own_body(&self) -> Option<&'static str> {
        self.body.ends_with(b" ").then_some(()).or(self.body.ends_with(b"\t").then_some(()))?;
        Some("blanks at the end of a last line without CRLF")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.fields {
            write!(f, "\"{}:{}\" ", name.escape_ascii(), value.escape_ascii())?;
        }
        write!(f, "and \"{}\" cut at {:?}", self.body.escape_ascii(), self.cuts)
    }
}

impl Dkimpy {
    fn start() -> Dkimpy {
        let mut child = Command::new(parts().join("venv/bin/python"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/canon_dkimpy.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dkimpy starts");
        let requests = BufWriter::new(child.stdin.take().expect("a pipe"));
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Dkimpy { child, requests, answers }
    }

    fn canonicalize(&mut self, case: &Case) -> io::Result<[Vec<u8>; 4]> {
        writeln!(self.requests, "{} {}", case.fields.len(), case.body.len())?;
        for (name, value) in &case.fields {
            writeln!(self.requests, "{} {}", name.len(), value.len() + 2)?;
            self.requests.write_all(name)?;
            self.requests.write_all(value)?;
            self.requests.write_all(b"\r\n")?;
        }
        self.requests.write_all(&case.body)?;
        self.requests.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let mut parts = [const { Vec::new() }; 4];
        for (part, length) in parts.iter_mut().zip(line.split_whitespace()) {
            part.resize(length.parse().map_err(io::Error::other)?, 0);
            self.answers.read_exact(part)?;
        }
        Ok(parts)
    }
}

impl Drop for Dkimpy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in self.differences.iter().take(20) {
            writeln!(f, "{difference}")?;
        }
        for (reason, count) in &self.own {
            writeln!(f, "dkimpy's own: {count} times {reason}")?;
        }
        write!(f, "{} compared, {} differences", self.compared, self.differences.len())
    }
}
