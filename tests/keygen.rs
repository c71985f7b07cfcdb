//! `waxseal keygen` and `waxseal config` as an operator runs them, with the real program, OpenSSL as the other reader of
//! keys, and DNS from master files alone.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A folder of its own, with a zone in which one name is taken.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("a folder"));
        let zone = "example.com. 60 IN SOA ns hostmaster 1 2 3 4 5\n\
                    ncpcompubkr._domainkey.example.com. 60 IN TXT \"v=DKIM1;k=rsa;p=AAEC\"\n\
                    gone._domainkey.example.com. 60 IN TXT \"v=DKIM1; p=\"\n\
                    alias._domainkey.example.com. 60 IN CNAME key.example.net.\n\
                    key.example.net. 60 IN TXT \"p=AAEC\"\n";
        fs::write(place.path("zone"), zone).expect("written");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program in the folder; never with the network.
    fn waxseal(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waxseal"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path()).output().expect("the program runs")
    }

    /// Runs `keygen` for example.com against the zone.
    fn keygen(&self, arguments: &str) -> Output {
        self.waxseal(&format!("keygen --domain example.com --dns zone {arguments}"))
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).expect("the folder").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn good(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", errors(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    errors(output)
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn openssl(arguments: &[&str], folder: &Path) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
    output.stdout
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").mode() & 0o7777
}

#[test]
fn a_key_of_the_region_comes_with_its_record_in_four_forms() {
    let place = Place::new();
    let out = good(&place.keygen("--environment financial --region kr"));
    let key = place.path("example.com.ncpcomfin.pem");
    assert_eq!(mode(&key), 0o600);
    let lines: Vec<_> = out.lines().collect();
    let after = |heading: &str| 1 + lines.iter().position(|line| line.starts_with(heading)).expect(heading);

    let value = lines[after("As one value")];
    let p = value.strip_prefix("v=DKIM1;k=rsa;p=").expect("the documented tags");
    assert_eq!(p.len(), 392);
    let public = openssl(&["pkey", "-in", "example.com.ncpcomfin.pem", "-pubout"], place.0.path());
    let public = String::from_utf8(public).expect("PEM");
    let public: String = public.lines().filter(|line| !line.starts_with("-----")).collect();
    assert_eq!(p, public, "OpenSSL reads the same public key");

    let (first, second) = value.split_at(255);
    let zone = after("As a line of a zone file");
    assert_eq!(lines[zone], format!("ncpcomfin._domainkey.example.com. 3600 IN TXT ( \"{first}\""));
    assert_eq!(lines[zone + 1], format!("    \"{second}\" )"));
    assert_eq!(lines[after("As strings")], format!("\"{first}\" \"{second}\""));
    let json: serde_json::Value = serde_json::from_str(lines[after("As JSON")]).expect("JSON");
    assert_eq!((&json["name"], &json["type"]), (&"ncpcomfin._domainkey.example.com".into(), &"TXT".into()));
    assert_eq!((json["value"].as_str(), &json["strings"]), (Some(value), &serde_json::json!([first, second])));
}

#[test]
fn a_form_alone_can_be_piped_and_read_back() {
    let place = Place::new();
    let line = good(&place.keygen("--selector one --format dns"));
    fs::write(place.path("new"), &line).expect("written");
    let refusal = refused(&place.waxseal("keygen --domain example.com --selector one --out other --dns new"));
    assert!(refusal.contains("another signer's key"), "the printed line is a zone that holds a key: {refusal}");
    for (form, lines) in [("single", 1), ("strings", 1), ("json", 1), ("dns", 2)] {
        let out = good(&place.keygen(&format!("--selector {form} --format {form}")));
        assert_eq!(out.lines().count(), lines, "{out}");
    }
}

#[test]
fn ed25519_has_a_record_and_a_selector_of_its_own() {
    let place = Place::new();
    let out = good(&place.keygen("--selector ed --ed25519 --format single"));
    let p = out.trim_end().strip_prefix("v=DKIM1;k=ed25519;p=").expect("the tags of RFC 8463");
    assert_eq!(p.len(), 44);
    openssl(&["pkey", "-in", "example.com.ed.pem", "-noout"], place.0.path());
    let refusal = refused(&place.keygen("--environment financial --region kr --ed25519"));
    assert!(refusal.contains("ncloud demands an RSA key of 2048 bits under ncpcomfin"), "{refusal}");
}

#[test]
fn nothing_is_overwritten_and_no_link_is_followed() {
    let place = Place::new();
    fs::write(place.path("example.com.old.pem"), "precious").expect("written");
    symlink(place.path("elsewhere"), place.path("example.com.link.pem")).expect("linked");
    for selector in ["old", "link"] {
        let refusal = refused(&place.keygen(&format!("--selector {selector}")));
        assert!(refusal.contains(&format!("example.com.{selector}.pem exists and is not overwritten")), "{refusal}");
    }
    assert_eq!(fs::read_to_string(place.path("example.com.old.pem")).expect("there"), "precious");
    assert!(!place.path("elsewhere").exists());
    fs::create_dir(place.path("open")).expect("made");
    fs::set_permissions(place.path("open"), fs::Permissions::from_mode(0o777)).expect("mode set");
    let refusal = refused(&place.keygen("--selector new --out open"));
    assert!(refusal.contains("has mode 0777; chmod go-w"), "{refusal}");
    good(&place.keygen("--selector new --out made/here"));
    assert_eq!(mode(&place.path("made/here")), 0o700);
}

#[test]
fn a_name_that_holds_another_key_is_left_alone() {
    let place = Place::new();
    let before = place.files();
    for arguments in ["--environment private --region kr", "--selector alias"] {
        let refusal = refused(&place.keygen(arguments));
        assert!(refusal.contains("this name holds another signer's key; use your own --selector"), "{refusal}");
    }
    assert_eq!(place.files(), before, "a refusal leaves no key behind");

    let output = place.keygen("--environment private --region kr --replace");
    good(&output);
    assert!(errors(&output).contains("another key stands at ncpcompubkr._domainkey.example.com"), "{output:?}");
    let output = place.keygen("--selector gone");
    good(&output);
    assert!(errors(&output).contains("a revoked key stands at gone._domainkey.example.com"), "{output:?}");
}

#[test]
fn without_network_it_says_so_and_goes_on() {
    let place = Place::new();
    // A socket that nobody reads: bound, so that nobody else answers there either.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
    let server = silent.local_addr().expect("an address");
    let output = place.waxseal(&format!("keygen --domain example.com --selector new --resolver {server}"));
    good(&output);
    let note = "could not look whether another key stands at new._domainkey.example.com";
    assert!(errors(&output).contains(note), "{output:?}");
    assert!(place.path("example.com.new.pem").exists());
}

#[test]
fn wrong_places_are_refused_with_those_that_exist() {
    let place = Place::new();
    let before = place.files();
    for (arguments, want) in [
        ("--environment financial --region jp", "those that exist: private kr (ncpcompubkr), private jp"),
        (
            "--environment private --region kr --provider nobody",
            "no provider \"nobody\"; those that exist: google, microsoft365, ncloud, sendgrid, ses",
        ),
        ("--environment private", "--environment private needs a --region; those of ncloud that exist: private kr ("),
        ("--region kr", "--region kr needs an --environment; those of ncloud that exist: private kr (ncpcompubkr), "),
        ("--environment financial", "public kr (ncpcomgov)\nwith a selector of your own, give --selector NAME"),
        ("--environment private --region eu", "\nwith a selector of your own, give --selector NAME"),
        ("--provider nobody", "no provider \"nobody\"; those that exist: google, microsoft365, ncloud, sendgrid, ses"),
        ("--environment private --region kr --selector own", "cannot be used with"),
        ("", "give --environment and --region; those of ncloud that exist: private kr (ncpcompubkr), private jp"),
        ("--selector sel;ector", "cannot stand in a domain name"),
    ] {
        for command in ["keygen", "config init --dir etc"] {
            let refusal = refused(&place.waxseal(&format!("{command} --domain example.com --dns zone {arguments}")));
            assert!(refusal.contains(want), "{command} {arguments}: {refusal}");
        }
    }
    assert_eq!(place.files(), before);
}

#[test]
fn init_writes_a_configuration_that_is_good_as_it_stands() {
    let place = Place::new();
    let init = "config init --domain example.com --environment private --region jp --dns zone --dir etc";
    let out = good(&place.waxseal(init));
    assert_eq!(mode(&place.path("etc/keys")), 0o700);
    assert_eq!(mode(&place.path("etc/keys/example.com.ncpcompubjpn.pem")), 0o600);
    for line in [
        "v=DKIM1;k=rsa;p=",
        "smtpd_milters = inet:127.0.0.1:8891",
        "non_smtpd_milters = inet:127.0.0.1:8891",
        "internal_mail_filter_classes = bounce",
        "milter_default_action = tempfail",
    ] {
        assert!(out.lines().any(|printed| printed.starts_with(line)), "{line} is not in\n{out}");
    }
    let out = good(&place.waxseal("config check --config etc/waxseal.toml"));
    assert_eq!(out, "etc/waxseal.toml: good: 1 domain, 1 key, 1 listener\n");

    let settings = fs::read(place.path("etc/waxseal.toml")).expect("there");
    let refusal = refused(&place.waxseal(init));
    assert!(refusal.contains("etc/waxseal.toml exists and is not overwritten"), "{refusal}");
    assert_eq!(fs::read(place.path("etc/waxseal.toml")).expect("there"), settings);
}

#[test]
fn init_is_all_or_nothing() {
    let place = Place::new();
    let init = |arguments: &str| place.waxseal(&format!("config init --domain example.com --dns zone {arguments}"));
    let before = place.files();
    refused(&init("--environment private --region kr --dir new"));
    assert_eq!(place.files(), before, "a name that is taken");

    fs::create_dir_all(place.path("half/keys")).expect("made");
    fs::set_permissions(place.path("half/keys"), fs::Permissions::from_mode(0o700)).expect("mode set");
    fs::write(place.path("half/keys/example.com.own.pem"), "precious").expect("written");
    let refusal = refused(&init("--selector own --dir half"));
    assert!(refusal.contains("example.com.own.pem exists"), "{refusal}");
    assert!(!place.path("half/waxseal.toml").exists());

    fs::set_permissions(place.path("half/keys"), fs::Permissions::from_mode(0o777)).expect("mode set");
    refused(&init("--selector other --dir half"));
    assert!(!place.path("half/waxseal.toml").exists() && !place.path("half/keys/example.com.other.pem").exists());
}

#[test]
fn check_reads_keys_that_openssl_made_and_names_those_that_will_not_do() {
    let place = Place::new();
    let keys = place.path("keys");
    fs::create_dir(&keys).expect("made");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).expect("mode set");
    for arguments in [
        "genrsa -traditional -out pkcs1.pem 2048",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out pkcs8.pem",
        "genpkey -algorithm ED25519 -out ed.pem",
        "genrsa -out short.pem 1024",
        "pkey -in pkcs8.pem -pubout -out public.pem",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem",
        "pkey -in pkcs8.pem -aes128 -passout pass:secret -out locked.pem",
    ] {
        openssl(&arguments.split(' ').collect::<Vec<_>>(), &keys);
    }
    for entry in fs::read_dir(&keys).expect("there") {
        fs::set_permissions(entry.expect("an entry").path(), fs::Permissions::from_mode(0o600)).expect("mode set");
    }
    let domain = |name: &str, key: &str| format!("[domains.\"{name}\"]\nselector = \"s\"\nkey = \"keys/{key}\"\n");
    let good_ones = domain("a.example", "pkcs1.pem") + &domain("b.example", "pkcs8.pem");
    let settings = format!("{good_ones}ed25519 = {{ selector = \"e\", key = \"keys/ed.pem\" }}\n");
    fs::write(place.path("good.toml"), settings).expect("written");
    let out = good(&place.waxseal("config check --config good.toml"));
    assert_eq!(out, "good.toml: good: 2 domains, 3 keys, 1 listener\n");

    let of_profile = "[domains.\"p.example\"]\nenvironment = \"public\"\nregion = \"kr\"\nkey = \"keys/short.pem\"\n";
    let bad_ones: String = ["short", "public", "ec", "locked", "ed", "none"]
        .map(|key| domain(&format!("{key}.example"), &format!("{key}.pem")))
        .concat();
    fs::write(place.path("bad.toml"), bad_ones + of_profile).expect("written");
    let told = refused(&place.waxseal("config check --config bad.toml"));
    assert!(told.starts_with("waxseal: 7 mistakes in the settings\n"), "{told}");
    for (line, want) in [
        (1, "short.pem\": has 1024 bits, and we sign with no RSA key under 2048"),
        (4, "public.pem\": holds a public key"),
        (7, "ec.pem\": holds a key of the algorithm 1.2.840.10045.2.1, which DKIM does not know"),
        (10, "locked.pem\": holds an encrypted private key"),
        (13, "ed.pem\": holds a key of type ed25519, not rsa"),
        (16, "none.pem\": no such file; make it with `waxseal keygen`"),
        (19, "short.pem\": has 1024 bits, but the provider demands exactly 2048"),
    ] {
        let place = format!("bad.toml:{line}: ");
        assert!(told.lines().any(|told| told.contains(&place) && told.contains(want)), "{place}{want}\nnot in\n{told}");
    }
}

#[test]
fn show_tells_every_setting_and_its_origin_but_no_secret() {
    let place = Place::new();
    let text = "[log]\nlevel = \"debug\"\n[signing]\noutbound_mark = \"X-Ours: 5f1c9a\"\n";
    fs::write(place.path("waxseal.toml"), text).expect("written");
    let out = good(&place.waxseal("config show --config waxseal.toml"));
    for line in [
        "log.level = \"debug\"  # line 2",
        "log.format = \"text\"  # default",
        "signing.outbound_mark = \"X-Ours: (secret)\"  # line 4",
        "listener.socket = \"inet:127.0.0.1:8891\"  # default",
    ] {
        assert!(out.lines().any(|printed| printed == line), "{line} is not in\n{out}");
    }
    let json = good(&place.waxseal("config show --config waxseal.toml --json"));
    assert!(!json.contains("5f1c9a") && !out.contains("5f1c9a"));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["schema"], "waxseal.config/1");
    let settings = json["settings"].as_array().expect("a list");
    let level = settings.iter().find(|setting| setting["name"] == "log.level").expect("there");
    assert_eq!(level["value"], "debug");
    assert!(level["origin"].as_str().is_some_and(|origin| origin.ends_with("/waxseal.toml:2")), "{level}");
}

#[test]
fn without_settings_every_command_says_how_to_make_them() {
    let place = Place::new();
    for command in ["run", "config check", "config show"] {
        let refusal = refused(&place.waxseal(&format!("{command} --config none/waxseal.toml")));
        assert!(refusal.contains("make one with: waxseal config init --domain DOMAIN"), "{command}: {refusal}");
    }
}
