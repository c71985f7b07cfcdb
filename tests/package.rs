//! The Debian package, made from this tree: without a complaint of lintian, the same to the bit each time, and installed,
//! used, upgraded, removed and purged as an operator does it, on a copy of this system that is gone afterwards.

mod common;

use common::program;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

/// How much foreign code is bearable: each crate is one more thing to read and to keep patched.
const MOST_CRATES: usize = 250;

/// The package, made once for all tests.
static PACKAGE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let package = build(folder.path());
    (folder, package)
});

fn build(folder: &Path) -> PathBuf {
    program("/usr/bin/dpkg-buildpackage");
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/debian/build"))
        .args(["--binary", env!("CARGO_BIN_EXE_waxseal")])
        .arg(folder)
        // How small it gets is not tested, and takes longer than all the rest.
        .env("DPKG_DEB_COMPRESSOR_LEVEL", "1")
        .output()
        .expect("the script runs");
    assert!(output.status.success(), "{}", all(&output));
    let mut made = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let package = made.next().expect("a package");
    assert!(package.extension().is_some_and(|end| end == "deb") && made.next().is_none(), "one package");
    package
}

/// Runs a script, as root, where the package lies at /waxseal.deb, and gives what it said.
#[track_caller]
fn on_a_copy_of_this_system(script: &str) -> String {
    let output = Command::new("unshare")
        .args(["--mount", "--fork", "--kill-child", "bash"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/installed.sh"))
        .arg(&PACKAGE.1)
        .arg(script)
        .output()
        .expect("unshare runs");
    assert!(output.status.success(), "{}", all(&output));
    all(&output)
}

fn all(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn lintian_has_nothing_to_say() {
    let output = Command::new(program("/usr/bin/lintian"))
        .args(["--allow-root", "--display-info", "--fail-on", "error,warning"])
        .arg(&PACKAGE.1)
        .output()
        .expect("lintian runs");
    let said = all(&output);
    let tags: Vec<&str> = said.lines().filter(|line| line.starts_with(['E', 'W'])).collect();
    assert!(output.status.success() && tags.is_empty(), "{said}");
}

#[test]
fn the_same_tree_gives_the_same_package() {
    let again = tempfile::tempdir().expect("a folder");
    let (first, second) = (fs::read(&PACKAGE.1).expect("read"), fs::read(build(again.path())).expect("read"));
    assert!(first == second, "two packages of one tree differ");
}

#[test]
fn the_package_has_the_version_of_the_program() {
    let changelog = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/debian/changelog");
    let changelog = fs::read_to_string(changelog).expect("the changelog");
    assert!(changelog.starts_with(&format!("waxseal ({}) ", env!("CARGO_PKG_VERSION"))), "{changelog}");
}

#[test]
fn an_operator_installs_uses_and_upgrades_it() {
    let said = on_a_copy_of_this_system(
        r#"
        dpkg --install /waxseal.deb >/dev/null
        stat --format 'folder %U %G %a' /etc/waxseal
        getent passwd waxseal | cut --delimiter : --fields 6,7
        runuser -u waxseal -- waxseal config init --domain example.com --selector mail2026 >/dev/null
        runuser -u waxseal -- waxseal config check
        printf 'From: ann@example.com\nSubject: hello\n\nhello\n' |
            runuser -u waxseal -- waxseal sign | grep --only-matching 's=mail2026'
        for page in waxseal waxseal-config-init waxseal.toml; do test -e "$(man --where "$page")"; done
        man waxseal-verify | grep --only-matching 'EXIT STATUS'
        bash -n /usr/share/bash-completion/completions/waxseal
        sum=$(sha256sum /etc/waxseal/waxseal.toml /etc/waxseal/keys/*)
        dpkg --install /waxseal.deb >/dev/null
        [[ $sum == "$(sha256sum /etc/waxseal/waxseal.toml /etc/waxseal/keys/*)" ]] && echo upgraded
        "#,
    );
    for line in
        ["folder waxseal waxseal 750", "/nonexistent:/usr/sbin/nologin", "s=mail2026", "EXIT STATUS", "upgraded"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn it_goes_as_it_came_but_for_private_keys() {
    let said = on_a_copy_of_this_system(
        r#"
        look() { find /etc /lib /run /usr /var -xdev -name '*waxseal*' -not -path '/var/lib/dpkg/*' | sort; }
        before=$(look)
        dpkg --install /waxseal.deb >/dev/null
        dpkg --purge waxseal >/dev/null
        [[ $before == "$(look)" ]] && echo clean || diff <(echo "$before") <(look)
        dpkg --install /waxseal.deb >/dev/null
        runuser -u waxseal -- waxseal config init --domain example.com --selector mail2026 >/dev/null
        mkdir -p /var/lib/waxseal
        dpkg --remove waxseal >/dev/null
        test -e /etc/waxseal/waxseal.toml && echo 'settings stay'
        dpkg --purge waxseal
        test ! -e /etc/waxseal/waxseal.toml && test ! -e /var/lib/waxseal && echo 'settings gone'
        ls /etc/waxseal/keys | wc --lines | sed 's/^/keys left: /'
        "#,
    );
    let lines = [
        "clean",
        "settings stay",
        "settings gone",
        "holds private keys or files of yours and was left",
        "keys left: 1",
    ];
    for line in lines {
        assert!(said.contains(line), "{line}: {said}");
    }
}

/// The bill of materials lies in the package and names what the program needs, with licence and checksum.
#[test]
fn the_package_says_what_it_is_made_of() {
    let script = "dpkg-deb --fsys-tarfile \"$1\" | tar -xO ./usr/share/doc/waxseal/sbom.cdx.json.gz | gunzip";
    let output = Command::new("/bin/bash").args(["-c", script, "bash"]).arg(&PACKAGE.1).output().expect("it runs");
    let bill: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", all(&output)));
    assert_eq!(bill["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    let components = bill["components"].as_array().expect("a list");
    let text = |of: &serde_json::Value| of.as_str().expect("text").to_owned();
    for component in components {
        let checksum = text(&component["hashes"][0]["content"]);
        assert!(checksum.len() == 64 && !text(&component["licenses"][0]["expression"]).is_empty(), "{component}");
    }
    let inside: Vec<_> =
        components.iter().filter(|one| one["scope"] == "required").map(|one| text(&one["name"])).collect();
    for needed in ["indymilter", "hickory-resolver", "aws-lc-rs", "rsa", "libsqlite3-sys"] {
        assert!(inside.iter().any(|name| name == needed), "{needed}: {inside:?}");
    }
    assert!(inside.len() <= MOST_CRATES, "{} crates", inside.len());
}
