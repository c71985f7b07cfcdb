//! The whole tree of a record: every record that it can lead to, for whatever client.
//!
//! A check ends where a term matches; the tree is what the last client in the record would need. Names made of macros
//! are counted and not followed. What is not known yet is asked for, level by level ([`Facts`]).

use super::Sight;
use crate::{
    diagnose::case::Facts,
    dns::{Answer, Data, RecordType},
    spf::{MacroString, Mechanism, Problem, Record, Selection, Term, TermKind, select},
};
use std::{fmt::Write, sync::Arc};

/// Records visited: more than ten are too many already.
const RECORDS: usize = 32;

/// Names asked for, for terms that find nothing.
const NAMES: usize = 32;

/// The tree.
pub struct Tree {
    /// The records, each before those that it includes.
    pub nodes: Vec<Node>,
    /// Terms that need DNS, in all records together.
    pub terms: usize,
    /// Names that terms ask for and that hold no address.
    pub voids: Vec<Arc<Answer>>,
    /// A name with more mail exchangers than `mx` may have.
    pub exchangers: Option<(usize, Arc<Answer>, usize)>,
    /// The first node that leads back to one above it.
    pub cycle: Option<usize>,
}

/// One record in the tree.
pub struct Node {
    pub domain: String,
    pub depth: usize,
    /// Which node and which of its terms led here.
    pub via: Option<(usize, usize)>,
    /// What is at the name; `None` if it is not known.
    pub answer: Option<Arc<Answer>>,
    pub record: Option<Record>,
    pub problems: Vec<Problem>,
    /// How many of its terms need DNS.
    pub terms: usize,
    /// How many SPF records stand there.
    pub count: usize,
}

impl Node {
    fn new(domain: &str, depth: usize, via: Option<(usize, usize)>, answer: Option<&Arc<Answer>>) -> Node {
        let texts = answer.map(|answer| answer.joined_txt()).unwrap_or_default();
        let (count, read) = match select(texts.iter().map(Vec::as_slice)) {
            Selection::None => (0, None),
            Selection::One(text) => (1, Some(Record::read(text))),
            Selection::Several(found) => (found.len(), None),
        };
        let (record, problems) = read.map_or((None, Vec::new()), |(record, problems)| (Some(record), problems));
        let terms = record.as_ref().map_or(0, |record| counted(record).count());
        Node { domain: domain.to_owned(), depth, via, answer: answer.cloned(), record, problems, terms, count }
    }

    /// As one record on the way; `None` while its answer is not known.
    pub fn sight(&self) -> Option<Sight<'_>> {
        Some(Sight {
            domain: &self.domain,
            answer: self.answer.as_ref()?,
            record: self.record.as_ref(),
            problems: &self.problems,
            own: self.depth == 0,
        })
    }
}

impl Tree {
    /// Walks the tree of a domain's record, and with `voids` asks for the names in it too.
    pub fn walk(facts: &Facts, domain: &str, answer: &Arc<Answer>, voids: bool) -> Tree {
        let mut tree = Tree { nodes: Vec::new(), terms: 0, voids: Vec::new(), exchangers: None, cycle: None };
        // The next to visit is the last; what a record leads to comes before what follows it.
        let mut left = vec![(domain.to_owned(), 0, None)];
        let mut names = 0;
        while let Some((domain, depth, via)) = left.pop() {
            if tree.nodes.len() >= RECORDS {
                break;
            }
            let answer = if via.is_none() { Some(answer) } else { facts.txt(&domain) };
            let at = tree.nodes.len();
            let node = Node::new(&domain, depth, via, answer);
            tree.terms += node.terms;
            let closes = tree.is_above(&domain, via);
            if closes {
                tree.cycle.get_or_insert(at);
            } else {
                let next = targets(&node).map(|(term, name, depth)| (name, depth, Some((at, term))));
                let next: Vec<_> = next.collect();
                left.extend(next.into_iter().rev());
                if voids {
                    tree.ask(facts, &node, at, &mut names);
                }
            }
            tree.nodes.push(node);
        }
        tree
    }

    /// Does a record on the way to this one have the same domain?
    fn is_above(&self, domain: &str, mut via: Option<(usize, usize)>) -> bool {
        while let Some((at, _)) = via {
            if self.nodes[at].domain.eq_ignore_ascii_case(domain) {
                return true;
            }
            via = self.nodes[at].via;
        }
        false
    }

    /// Asks for what the mechanisms of a record ask for, whatever the client's family.
    fn ask(&mut self, facts: &Facts, node: &Node, at: usize, names: &mut usize) {
        let Some(record) = &node.record else { return };
        for (_, term) in counted(record) {
            let TermKind::Directive { mechanism, .. } = &term.kind else { continue };
            let name = match mechanism {
                Mechanism::A(target, _) | Mechanism::Mx(target, _) => match target {
                    None => Some(node.domain.clone()),
                    Some(target) => plain(record, target),
                },
                Mechanism::Exists(target) => plain(record, target),
                _ => None,
            };
            let Some(name) = name.filter(|_| *names < NAMES) else { continue };
            *names += 1;
            let kinds: &[RecordType] = match mechanism {
                Mechanism::Mx(..) => &[RecordType::Mx],
                Mechanism::Exists(_) => &[RecordType::A],
                _ => &[RecordType::A, RecordType::Aaaa],
            };
            let answers: Vec<&Arc<Answer>> = kinds.iter().filter_map(|kind| facts.answer(&name, *kind)).collect();
            if answers.len() == kinds.len() && answers.iter().all(|answer| answer.is_negative()) {
                self.voids.push(answers[0].clone());
            }
            if let (Mechanism::Mx(..), [answer]) = (mechanism, &answers[..]) {
                let count = answer.records.iter().filter(|record| matches!(record.data, Data::Mx { .. })).count();
                if count > 10 && self.exchangers.is_none() {
                    self.exchangers = Some((at, Arc::clone(answer), count));
                }
            }
        }
    }

    /// The tree as text, a line for each record.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let what = match (&node.answer, node.count) {
                (None, _) => "not looked up".to_owned(),
                (_, 0) => "no record".to_owned(),
                (_, 1) => super::show::count(node.terms, "term"),
                (_, count) => format!("{count} records"),
            };
            let domain = super::show::short(&node.domain);
            writeln!(text, "{:indent$}{domain}: {what}", "", indent = 2 * node.depth)
                .expect("writing to a String does not fail");
        }
        text + &format!("together: {}", super::show::count(self.terms, "term"))
    }
}

/// The terms of a record that are ever evaluated and need DNS: nothing after `all`, and no `redirect=` beside it.
fn counted(record: &Record) -> impl Iterator<Item = (usize, &Term)> {
    let end = all_of(record).map_or(usize::MAX, |all| all.range.start);
    record.terms().iter().enumerate().filter(move |(_, term)| match term.kind {
        TermKind::Redirect(_) => end == usize::MAX,
        _ => term.needs_dns() && term.range.start < end,
    })
}

/// The first `all` of a record.
pub fn all_of(record: &Record) -> Option<&Term> {
    record.terms().iter().find(|term| matches!(term.kind, TermKind::Directive { mechanism: Mechanism::All, .. }))
}

/// The directives after `all`, where nothing has an effect; another `all` is none of them.
pub fn after_all(record: &Record) -> impl Iterator<Item = &Term> {
    let end = all_of(record).map_or(usize::MAX, |all| all.range.start);
    record.terms().iter().filter(move |term| match &term.kind {
        TermKind::Directive { mechanism, .. } => *mechanism != Mechanism::All && term.range.start > end,
        _ => false,
    })
}

/// What a record leads to: the term, the name, and the depth there.
fn targets(node: &Node) -> impl Iterator<Item = (usize, String, usize)> {
    let record = node.record.as_ref().filter(|record| record.is_valid());
    let terms = record.into_iter().flat_map(|record| counted(record).map(move |(at, term)| (record, at, term)));
    terms.filter_map(|(record, at, term)| match &term.kind {
        TermKind::Directive { mechanism: Mechanism::Include(target), .. } => {
            Some((at, plain(record, target)?, node.depth + 1))
        }
        TermKind::Redirect(target) => Some((at, plain(record, target)?, node.depth)),
        _ => None,
    })
}

/// A name without macros.
pub fn plain(record: &Record, name: &MacroString) -> Option<String> {
    let text = record.as_bytes().get(name.range())?;
    let is_plain = name.macros().next().is_none() && !text.contains(&b'%');
    let text = String::from_utf8_lossy(text.strip_suffix(b".").unwrap_or(text)).to_ascii_lowercase();
    is_plain.then_some(text)
}
