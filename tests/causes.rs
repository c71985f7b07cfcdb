//! The register, its pages, and the document that the project started from: none says more or less than the others.
//!
//! The pages under `docs/causes/` and the table in the README are made from the register; to write them anew:
//! `WAXSEAL_WRITE_PAGES=1 cargo test --test causes`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
};
use waxseal::diagnose::register::{self, Cause, SEED_TITLE};

/// Lines of the seed document that frame it and ask for nothing by themselves.
const FRAMING: &[u16] = &[1, 2, 3, 4, 5, 6, 21, 22, 23, 24, 28, 29, 44, 45, 73, 86, 88, 89, 100, 106];

/// Its last line.
const LAST: u16 = 106;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a file with what it should hold, or writes it.
fn agree(path: &Path, want: &str) -> bool {
    if std::env::var_os("WAXSEAL_WRITE_PAGES").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(path, want).expect("the page can be written");
    }
    fs::read_to_string(path).is_ok_and(|have| have == want)
}

fn families() -> Vec<(&'static str, Vec<&'static Cause>)> {
    let mut families: Vec<(&str, Vec<&Cause>)> = Vec::new();
    for cause in register::all() {
        let family = cause.family.as_str();
        match families.iter_mut().find(|(known, _)| *known == family) {
            Some((_, causes)) => causes.push(cause),
            None => families.push((family, vec![cause])),
        }
    }
    families
}

fn page(family: &str, causes: &[&Cause]) -> String {
    let mut out =
        format!("# Causes: {family}\n\nMade from the register (`waxseal explain`); see [all families](README.md).\n");
    for cause in causes {
        let page = cause.page();
        write!(out, "\n## {}\n\n*{}*\n\n{}\n", cause.code, cause.title, page.fact).expect("a String takes it");
        for (heading, text) in [
            ("Why it fails", page.why),
            ("How it comes about", page.how),
            ("What to do", page.fix),
            ("Not this", page.not_this),
        ] {
            write!(out, "\n**{heading}.** {text}\n").expect("a String takes it");
        }
        let mut sources: Vec<String> =
            cause.seed_section().map(|section| format!("{SEED_TITLE}, \"{}\"", section.title)).into_iter().collect();
        sources.extend(cause.see.iter().map(ToString::to_string));
        if !sources.is_empty() {
            write!(out, "\nDocumented: {}.\n", sources.join("; ")).expect("a String takes it");
        }
    }
    out
}

fn table<'a>(causes: impl Iterator<Item = &'a Cause>) -> String {
    let mut out = String::from("| cause | what it says |\n|---|---|\n");
    for cause in causes {
        let family = cause.family.as_str();
        writeln!(out, "| [{code}](docs/causes/{family}.md#{code}) | {} |", cause.title, code = cause.code)
            .expect("a String takes it");
    }
    out
}

#[test]
fn the_pages_say_what_the_register_says() {
    let folder = root().join("docs/causes");
    let mut index = String::from(
        "# Causes\n\nEvery cause that a report can name, by family; `waxseal explain CODE` shows the same on a terminal.\n\n\
         How sure a report is: *certain* means that one repair was tried and made this signature verify or this SPF check \
         pass, or that the fact is itself the definition; *likely*, that the sign is specific to this cause; *possible*, \
         that it is consistent with it.\n",
    );
    let mut wrong = Vec::new();
    for (family, causes) in families() {
        write!(index, "\n## [{family}]({family}.md)\n\n").expect("a String takes it");
        for cause in &causes {
            writeln!(index, "- [{code}]({family}.md#{code}): {}", cause.title, code = cause.code)
                .expect("a String takes it");
        }
        if !agree(&folder.join(format!("{family}.md")), &page(family, &causes)) {
            wrong.push(family);
        }
    }
    if !agree(&folder.join("README.md"), &index) {
        wrong.push("README");
    }
    assert!(
        wrong.is_empty(),
        "docs/causes differs from the register in {wrong:?}; write it anew with WAXSEAL_WRITE_PAGES=1"
    );
    let known: BTreeSet<String> = families().iter().map(|(family, _)| format!("{family}.md")).collect();
    for entry in fs::read_dir(&folder).expect("docs/causes") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        assert!(name == "README.md" || known.contains(&name), "docs/causes/{name} belongs to no family");
    }
}

#[test]
fn the_readme_lists_the_documented_causes() {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).expect("README.md");
    let (start, end) = ("<!-- causes -->\n", "<!-- end of causes -->");
    let from = readme.find(start).expect("the mark before the table") + start.len();
    let to = readme.find(end).expect("the mark after the table");
    let want = table(register::all().filter(|cause| !cause.seed.is_empty()));
    assert!(
        agree(&path, &format!("{}{want}{}", &readme[..from], &readme[to..])),
        "the table of causes differs from the register; write it anew with WAXSEAL_WRITE_PAGES=1"
    );
}

/// The code of every cause that some scene expects to be named.
fn shown() -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests")).expect("tests") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("diagnose")
            || name.starts_with("live_")
            || ["check.rs", "postfix_audit.rs"].contains(&name.as_str())
        {
            let text = fs::read_to_string(&path).expect("a test");
            // What stands in a list of causes that must not be named shows nothing.
            for (at, piece) in text.split("never(").enumerate() {
                let rest = if at == 0 { piece } else { piece.split_once(')').map_or("", |(_, rest)| rest) };
                shown.extend(rest.split('"').skip(1).step_by(1).map(str::to_owned));
            }
        }
    }
    shown
}

#[test]
fn every_line_of_the_seed_is_served_by_a_cause_with_a_case() {
    let shown = shown();
    let mut served: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for cause in register::all().filter(|cause| shown.contains(cause.code)) {
        for line in cause.seed_lines() {
            assert!((1..=LAST).contains(&line), "{}: the document has no line {line}", cause.code);
            served.entry(line).or_default().push(cause.code);
        }
    }
    let missing: Vec<u16> = (1..=LAST).filter(|line| !FRAMING.contains(line) && !served.contains_key(line)).collect();
    assert!(missing.is_empty(), "no cause with a case serves the lines {missing:?}");
}

#[test]
fn every_cause_has_a_case_that_shows_it() {
    let shown = shown();
    let missing: Vec<&str> = register::all().map(|cause| cause.code).filter(|code| !shown.contains(*code)).collect();
    assert!(missing.is_empty(), "no scene shows {missing:?}");
}
