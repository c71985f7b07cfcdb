//! The PyPI package `authres` 1.2.0, an independent reader of Authentication-Results.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

/// Reads the fields with `authres`, and lists what it finds: the authserv-id, then one line a
/// result, its words, and reason and properties in hexadecimal.
pub fn read(values: &[String]) -> Vec<String> {
    const SCRIPT: &str = r#"
import sys, re, authres, authres.dmarc, authres.dkim_b, authres.arc
context = authres.FeatureContext(authres.dmarc, authres.dkim_b, authres.arc)
hexed = lambda text: (text or '').encode('utf-8').hex()
for value in sys.stdin.buffer.read().decode('ascii').split('\0')[:-1]:
    try:
        field = context.parse_value(re.sub('\n', '', value))
        print(field.authserv_id)
        for r in field.results:
            print('%s=%s [%s]' % (r.method, r.result, hexed(r.reason)) + ''.join(
                ' %s.%s=%s' % (p.type, p.name, hexed(p.value)) for p in r.properties))
    except Exception as error:
        print('error: %s' % error)
    print()
"#;
    let mut child = Command::new(PYTHON.as_path())
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let input: String = values.iter().map(|value| format!("{value}\0")).collect();
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("python3 ends");
    writer.join().expect("no panic").expect("python3 reads all of it");
    let text = String::from_utf8(output.stdout).expect("the listing is ASCII");
    let lists: Vec<String> = text.split_terminator("\n\n").map(|list| format!("{list}\n\n")).collect();
    assert_eq!(lists.len(), values.len());
    lists
}

/// Made once, however many tests ask for it.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(python_with_authres);

/// The Python of a virtual environment under `target/` that has `authres` 1.2.0; made if missing.
fn python_with_authres() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authres-1.2.0");
    let python = folder.join("bin/python3");
    let works = || {
        let check = "import authres, importlib.metadata as m; assert m.version('authres') == '1.2.0'";
        Command::new(&python).args(["-c", check]).output().is_ok_and(|output| output.status.success())
    };
    if !works() {
        let run = |command: &mut Command| {
            let output = command.output();
            let done = output.as_ref().is_ok_and(|output| output.status.success());
            assert!(done, "this test needs python3, venv and the PyPI package authres 1.2.0: {command:?}: {output:?}");
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "authres==1.2.0"]));
        assert!(works(), "authres 1.2.0 was installed but cannot be imported");
    }
    python
}
