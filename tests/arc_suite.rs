//! The validation suite of ValiMail for ARC (RFC 8617), all of it: every verdict.
//!
//! The suite is no part of this project: it is fetched once into the build folder, from the source archive of
//! libmail-dkim-perl. Without Debian's apt-get, the archive it is set up for, and tar, this test fails and says so.

mod common;

use common::{
    forge::Zone,
    seal::{judge, said},
};
use serde_yaml_ng::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use waxseal::dns::zone;

const PACKAGE: &str = "libmail-dkim-perl";
const ARCHIVE: &str = "libmail-dkim-perl_1.20240923.orig.tar.gz";
/// A suite of Debian whose archive has it.
const RELEASE: &str = "trixie";
/// The archive that was read before it was trusted.
const SHA256: &str = "45de46f5dc4d23bcb6ad6401759881dd43968eab20e73f6f79d9557467de20ee";
const INSIDE: &str = "Mail-DKIM-1.20240923/t/arc_test_suite/arc-draft-validation-tests.yml";

/// How many tests the edition in this archive has, four of them under the name of another. ValiMail's own has one more,
/// as_fields_h_present: a seal with h=, which `tests/arc.rs` has too.
const TESTS: usize = 174;

/// Where this edition was bent to what Mail::DKIM does, the verdicts of ValiMail's own.
const VALIMAIL: [(&str, &str); 3] =
    [("ams_fields_a_sha1", "Fail"), ("ams_fields_c_na", "Pass"), ("as_fields_a_sha1", "Fail")];

#[tokio::test]
async fn every_verdict_of_the_validation_suite_is_right() {
    let file = suite();
    let text = fs::read_to_string(&file).expect("the suite is a readable text file");
    let (mut run, mut wrong) = (0, Vec::new());
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let Scenario { records, tests } = serde::Deserialize::deserialize(document).expect("the suite is YAML");
        let records = records.0.iter().fold(Zone::default(), |zone, (name, text)| zone.txt(name, text_of(text)));
        let dns = zone::parse(records.text(), "records").expect("a zone");
        for (name, test) in tests.0 {
            run += 1;
            let own = VALIMAIL.iter().find(|(other, _)| *other == name).map(|(_, verdict)| *verdict);
            let want = match own.unwrap_or_else(|| test["cv"].as_str().unwrap_or_default()) {
                // A chain that its sealer called failed has no status of its own.
                "" => "fail".to_owned(),
                status => status.trim().to_lowercase(),
            };
            let mail = text_of(&test["message"]).replace('\n', "\r\n");
            let result = judge(&dns, mail.as_bytes()).await;
            if result.result.as_str() != want {
                wrong.push(format!("{name}: {} instead of {want}", said(&result)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {run} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(run, TESTS, "tests in {}", file.display());
}

#[derive(serde::Deserialize)]
struct Scenario {
    #[serde(rename = "txt-records")]
    records: Pairs,
    tests: Pairs,
}

/// A mapping that may have a key twice: the suite has such tests, and both count.
struct Pairs(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The file of the suite, fetched if it is not there yet.
fn suite() -> PathBuf {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("suites");
    let file = kept.join(INSIDE);
    if file.exists() {
        return file;
    }
    fs::create_dir_all(&kept).expect("the build folder can be written");
    // Fetched and unpacked elsewhere and then moved, so that a fetch that was cut short leaves nothing behind.
    let fresh = tempfile::tempdir_in(&kept).expect("the build folder can be written");
    for folder in ["sources", "lists/partial", "cache"] {
        fs::create_dir_all(fresh.path().join(folder)).expect("the folder can be written");
    }
    let source = format!(
        "Types: deb-src\nURIs: {}\nSuites: {RELEASE}\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        archive()
    );
    fs::write(fresh.path().join("sources/debian.sources"), source).expect("the folder can be written");
    let apt = |arguments: &[&str]| {
        let place = |name: &str, folder: &str| format!("{name}={}", fresh.path().join(folder).display());
        run(Command::new("apt-get")
            .current_dir(fresh.path())
            .args(["-qq", "-o", "Dir::Etc::SourceList=/dev/null", "-o", "APT::Sandbox::User=root"])
            .args(["-o", &place("Dir::Etc::SourceParts", "sources"), "-o", &place("Dir::State::Lists", "lists")])
            .args(["-o", &place("Dir::Cache", "cache")])
            .args(arguments))
    };
    apt(&["update"]);
    apt(&["source", "--download-only", "--tar-only", PACKAGE]);
    fs::write(fresh.path().join("sums"), format!("{SHA256}  {ARCHIVE}\n")).expect("the folder can be written");
    run(Command::new("sha256sum").args(["--check", "--quiet", "sums"]).current_dir(fresh.path()));
    run(Command::new("tar").args(["-xzf", ARCHIVE]).current_dir(fresh.path()));
    let folder = INSIDE.split('/').next().expect("a path begins with a folder");
    let moved = fs::rename(fresh.path().join(folder), kept.join(folder));
    assert!(moved.is_ok() || file.exists(), "the suite cannot be moved to {}: {moved:?}", kept.display());
    file
}

/// The Debian archive that this machine is set up for.
fn archive() -> String {
    let format = ["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"];
    let known = run(Command::new("apt-get").args(format));
    let archives = known.lines().filter_map(|line| line.split_once(' '));
    let found = archives.clone().find(|(label, _)| *label == "Debian").or_else(|| archives.clone().next());
    found.expect("the ARC suite cannot be had: apt-get is set up for no archive").1.to_owned()
}

fn run(command: &mut Command) -> String {
    let what = format!("the ARC suite cannot be had: {command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(output.status.success(), "{what}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
