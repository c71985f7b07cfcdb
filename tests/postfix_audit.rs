//! `waxseal check --postfix` on private configurations, with the real postconf(1): each thing that breaks signatures has
//! its cause, its place and its lines; what does no harm has none. No Postfix is started.

mod common;

use common::program;
use serde_json::Value;
use std::{
    fs,
    process::{Command, Output},
};

/// What a host like Debian's has, and the lines of Waxseal that conf/postfix recommends.
const MAIN: &str = "compatibility_level = 3.6\nmyhostname = mail.example.com\ninet_interfaces = loopback-only\n\
    smtpd_milters = inet:127.0.0.1:8891\nnon_smtpd_milters = $smtpd_milters\nmilter_default_action = tempfail\n\
    internal_mail_filter_classes = bounce\nsmtp_line_length_limit = 0\n";

const MASTER: &str = "smtp inet n - y - - smtpd\npickup unix n - y 60 1 pickup\ncleanup unix n - y - 0 cleanup\n\
    smtp unix - - y - - smtp\nrelay unix - - y - - smtp\n";

/// A filter, and the way back from it.
const FILTER: &str = "submission inet n - y - - smtpd\n  -o content_filter=scan:[127.0.0.1]:10024\n\
    scan unix - - n - 10 smtp\n127.0.0.1:10025 inet n - y - - smtpd\n  -o content_filter=\n";

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(main: &str, master: &str) -> Bench {
        program("/usr/sbin/postconf");
        let bench = Bench { folder: tempfile::tempdir().expect("a folder") };
        bench.put("main.cf", main);
        bench.put("master.cf", master);
        bench
    }

    fn put(&self, name: &str, text: &str) {
        let text = text.replace("{}", &self.folder.path().display().to_string());
        fs::write(self.folder.path().join(name), text).expect("written");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_waxseal"))
            .args(["check", "--postfix"])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .expect("the program runs")
    }

    #[track_caller]
    fn audit(&self, arguments: &[&str]) -> (Value, i32) {
        let output = self.run(&[&[".", "--json"], arguments].concat());
        let status = output.status.code().expect("an exit status");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(value["schema"], "waxseal.check/1");
        (value["postfix"].clone(), status)
    }
}

fn causes(postfix: &Value) -> Vec<String> {
    let findings = postfix["findings"].as_array().expect("findings");
    findings.iter().map(|finding| finding["cause"].as_str().expect("a cause").to_owned()).collect()
}

/// Main.cf with other lines: those of the same name are replaced.
fn main_with(lines: &str) -> String {
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let others: Vec<&str> = MAIN.lines().filter(|line| !lines.lines().any(|other| name(other) == name(line))).collect();
    format!("{}\n{lines}", others.join("\n"))
}

/// Main.cf, master.cf, the cause, its severity, where, and the line that mends it.
#[test]
fn each_fault_has_its_cause_its_place_and_its_fix() {
    let twice = format!("{MASTER}{FILTER}");
    let once = format!("{MASTER}{FILTER}  -o smtpd_milters=\n");
    let emptied = format!("{MASTER}submission inet n - y - - smtpd\n  -o smtpd_milters=\n");
    let skipped = format!("{MASTER}submission inet n - y - - smtpd\n  -o receive_override_options=no_milters\n");
    let nearby = |more: &str| format!("{MASTER}relay2 unix - - n - - smtp\n  -o {more}\n");
    for (main, master, cause, severity, place, fix) in [
        (
            "smtpd_milters =\nnon_smtpd_milters = inet:127.0.0.1:8891",
            MASTER,
            "postfix-milter-missing",
            "error",
            "main.cf:7",
            "smtpd_milters = inet:127.0.0.1:8891",
        ),
        (
            "",
            &emptied,
            "postfix-milter-missing",
            "error",
            "master.cf:6 (submission)",
            "-o smtpd_milters=inet:127.0.0.1:8891",
        ),
        ("", &skipped, "postfix-milters-skipped", "error", "master.cf:6 (submission)", "take no_milters out"),
        (
            "smtpd_milters = unix:/run/waxseal/milter.sock",
            MASTER,
            "postfix-socket-outside-chroot",
            "error",
            "main.cf:8",
            "smtpd_milters = unix:waxseal/milter.sock",
        ),
        (
            "smtpd_milters = unix:/var/spool/postfix/waxseal/a.sock",
            MASTER,
            "postfix-socket-outside-chroot",
            "error",
            "main.cf:8",
            "smtpd_milters = unix:waxseal/a.sock",
        ),
        ("", &twice, "postfix-signed-twice", "warning", "master.cf:6 (submission)", "-o smtpd_milters="),
        (
            "",
            &once,
            "postfix-signed-before-filter",
            "warning",
            "master.cf:6 (submission)",
            "-o smtpd_milters=inet:127.0.0.1:8891",
        ),
        (
            "smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:11332",
            MASTER,
            "postfix-milter-order",
            "warning",
            "main.cf:8",
            "smtpd_milters = inet:127.0.0.1:11332, inet:127.0.0.1:8891",
        ),
        (
            "smtp_generic_maps = hash:/etc/postfix/generic",
            MASTER,
            "postfix-address-rewritten",
            "error",
            "main.cf:9",
            "canonical_maps = hash:/etc/postfix/generic",
        ),
        (
            "",
            &nearby("smtp_generic_maps=hash:/etc/postfix/generic"),
            "postfix-address-rewritten",
            "error",
            "master.cf:6 (relay2)",
            "smtp_generic_maps =",
        ),
        (
            "smtp_header_checks = regexp:{}/checks",
            MASTER,
            "postfix-edited-after-signing",
            "error",
            "main.cf:9",
            "move the rule from smtp_header_checks to header_checks",
        ),
        (
            "smtp_body_checks = regexp:{{/secret/ REPLACE hidden}}",
            MASTER,
            "postfix-edited-after-signing",
            "error",
            "main.cf:9",
            "to body_checks",
        ),
        (
            "milter_header_checks = regexp:{{/^DKIM-Signature:/ IGNORE}}",
            MASTER,
            "postfix-edited-after-signing",
            "error",
            "main.cf:9",
            "milter_header_checks",
        ),
        (
            "header_checks = regexp:{}/checks",
            MASTER,
            "postfix-edited-before-verifying",
            "warning",
            "main.cf:9",
            "cleanup_service_name",
        ),
        (
            "header_checks = regexp:{{/^Received:/ IGNORE}}",
            MASTER,
            "postfix-received-removed",
            "note",
            "main.cf:9",
            "cleanup_service_name",
        ),
        (
            "always_add_missing_headers = yes",
            MASTER,
            "postfix-fields-added",
            "warning",
            "main.cf:9",
            "always_add_missing_headers = no",
        ),
        (
            "smtp_line_length_limit = 998",
            MASTER,
            "postfix-lines-broken",
            "warning",
            "main.cf:8",
            "smtp_line_length_limit = 0",
        ),
        (
            "smtp_discard_ehlo_keywords = dsn, 8bitmime",
            MASTER,
            "postfix-mime-converted",
            "error",
            "main.cf:9",
            "take 8bitmime out",
        ),
        (
            "milter_default_action = accept",
            MASTER,
            "postfix-milter-fails-open",
            "warning",
            "main.cf:8",
            "milter_default_action = tempfail",
        ),
        (
            "smtpd_milters = { inet:127.0.0.1:8891, default_action=accept }",
            MASTER,
            "postfix-milter-fails-open",
            "warning",
            "main.cf:8",
            "milter_default_action = tempfail",
        ),
        (
            "non_smtpd_milters =",
            MASTER,
            "postfix-local-mail-unsigned",
            "warning",
            "main.cf:8",
            "non_smtpd_milters = $smtpd_milters",
        ),
        (
            "internal_mail_filter_classes =",
            MASTER,
            "postfix-bounces-unsigned",
            "warning",
            "main.cf:8",
            "internal_mail_filter_classes = bounce",
        ),
        ("milter_protocol = 2", MASTER, "postfix-milter-protocol-old", "warning", "main.cf:9", "milter_protocol = 6"),
        ("smtputf8_enable = no", MASTER, "postfix-smtputf8-off", "note", "main.cf:9", "smtputf8_enable = yes"),
    ] {
        let bench = Bench::new(&main_with(&format!("{main}\n")), master);
        bench.put("checks", "# hides the program\n/^(Subject|X-Mailer):/ REPLACE Subject: none\n");
        let (postfix, status) = bench.audit(&[]);
        assert_eq!(causes(&postfix), [cause], "{main}\n{master}\n{postfix:#}");
        let finding = &postfix["findings"][0];
        assert_eq!((&finding["severity"], &finding["family"]), (&severity.into(), &"postfix".into()), "{cause}");
        assert_eq!(finding["evidence"][0]["label"], place, "{cause}: {finding:#}");
        let steps = finding["fix"].as_array().expect("steps");
        assert!(steps.iter().any(|step| step.as_str().is_some_and(|step| step.contains(fix))), "{cause}: {finding:#}");
        assert_eq!(status, if severity == "error" { 1 } else { 0 }, "{cause}");
    }
}

/// The files of conf/postfix, as they are, and what else does no harm.
#[test]
fn what_does_no_harm_gives_nothing() {
    let example = |name: &str| fs::read_to_string(format!("conf/postfix/{name}")).expect("an example");
    let base = "compatibility_level = 3.6\nmyhostname = mail.example.com\n";
    let main = format!("{base}{}", example("main.cf.example"));
    let rest = MASTER.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n";
    let without_pickup: String =
        rest.lines().filter(|line| !line.starts_with("pickup")).map(|line| format!("{line}\n")).collect();
    let marked = "smtp_header_checks = regexp:{{/^X-Waxseal-Outbound:/ IGNORE}}\n";
    for (what, main, master) in [
        ("the base", MAIN.to_owned(), MASTER.to_owned()),
        ("main.cf.example", main.clone(), MASTER.to_owned()),
        ("submission", main.clone(), format!("{MASTER}{}", example("master.cf.example"))),
        ("a filter", main.clone(), format!("{without_pickup}{}", example("master.cf.content-filter.example"))),
        (
            "a filter with a mark",
            format!("{main}{marked}"),
            format!("{without_pickup}{}", example("master.cf.outbound-mark.example")),
        ),
        (
            "canonical maps",
            main_with("canonical_maps = hash:/x\nmasquerade_domains = example.com\n"),
            MASTER.to_owned(),
        ),
        ("checks that only warn", main_with("header_checks = regexp:{{/^Subject:/ WARN}}\n"), MASTER.to_owned()),
        (
            "checks of other fields",
            main_with("smtp_header_checks = regexp:{{/^X-Internal:/ IGNORE}}\n"),
            MASTER.to_owned(),
        ),
        ("a socket below the queue", main_with("smtpd_milters = unix:waxseal/milter.sock\n"), MASTER.to_owned()),
        (
            "a socket outside, without a chroot",
            main_with("smtpd_milters = unix:/run/waxseal/milter.sock\n"),
            MASTER.replace(" - y ", " - n "),
        ),
        (
            "rspamd before us",
            main_with("smtpd_milters = inet:127.0.0.1:11332, inet:127.0.0.1:8891\n"),
            MASTER.to_owned(),
        ),
        (
            "conversion, turned off",
            main_with("smtp_discard_ehlo_keywords = 8bitmime\ndisable_mime_output_conversion = yes\n"),
            MASTER.to_owned(),
        ),
    ] {
        let bench = Bench::new(&main, &master);
        let (postfix, status) = bench.audit(&[]);
        assert_eq!((causes(&postfix), status), (Vec::new(), 0), "{what}: {postfix:#}");
        assert_eq!(postfix["status"], "ok", "{what}");
    }
    let screen = String::from_utf8(Bench::new(MAIN, MASTER).run(&["."]).stdout).expect("text");
    assert_eq!(screen, "Postfix, .: leaves signatures whole\n");
}

/// With settings at hand, their sockets say which milters are ours, and what each does.
#[test]
fn the_settings_say_which_milters_are_ours() {
    let settings = "[[listener]]\nsocket = \"inet:127.0.0.1:7001\"\nmode = \"sign\"\n\
                    [[listener]]\nsocket = \"inet:127.0.0.1:7002\"\nmode = \"verify\"\n\
                    [[listener]]\nsocket = \"unix:/var/spool/postfix/odd/name.sock\"\nmode = \"sign\"\n";
    let filter = FILTER.replace("content_filter=scan", "smtpd_milters=inet:127.0.0.1:7002\n  -o content_filter=scan");
    for (main, master, wanted) in [
        ("smtpd_milters = inet:localhost:7001\n", MASTER.to_owned(), &[][..]),
        (
            "smtpd_milters = inet:127.0.0.1:8891\n",
            MASTER.to_owned(),
            &["postfix-milter-missing", "postfix-local-mail-unsigned"],
        ),
        ("smtpd_milters = unix:odd/name.sock\n", MASTER.to_owned(), &[]),
        ("smtpd_milters = unix:/odd/name.sock\n", MASTER.to_owned(), &[]),
        (
            "smtpd_milters = unix:/var/spool/postfix/odd/name.sock\n",
            MASTER.to_owned(),
            &["postfix-socket-outside-chroot"],
        ),
        // What only verifies before the filter signs nothing twice.
        ("smtpd_milters = inet:127.0.0.1:7001\n", format!("{MASTER}{filter}"), &[]),
        ("smtpd_milters = inet:127.0.0.1:11332, inet:127.0.0.1:7002\n", MASTER.to_owned(), &["postfix-milter-order"]),
    ] {
        let bench = Bench::new(&main_with(main), &master);
        bench.put("waxseal.toml", settings);
        let (postfix, _) = bench.audit(&["--config", "waxseal.toml"]);
        assert_eq!(causes(&postfix), wanted, "{main}: {postfix:#}");
    }
}

#[test]
fn a_domain_and_postfix_are_checked_together_or_alone() {
    let bench = Bench::new(&main_with("milter_default_action = accept\n"), MASTER);
    bench.put("zone", "$ORIGIN example.com.\n@ 300 IN SOA ns.example.com. root.example.com. 1 1 1 1 60\n");
    let output = bench.run(&[".", "example.com", "--dns", "zone", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["domain"], "example.com");
    assert_eq!(causes(&report["postfix"]), ["postfix-milter-fails-open"]);
    assert_eq!(report["steps"].as_array().map(Vec::len), Some(5));
    let screen = String::from_utf8(bench.run(&[".", "example.com", "--dns", "zone"]).stdout).expect("text");
    assert!(
        screen.starts_with("Postfix, .: works, with risks\n") && screen.contains("\nexample.com: not ready"),
        "{screen}"
    );

    let missing = bench.run(&["none"]);
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert_eq!(missing.status.code(), Some(2));
    assert!(said.contains("none/main.cf: no such file") && said.contains("--postfix takes the folder"), "{said}");
}
