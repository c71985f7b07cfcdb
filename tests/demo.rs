//! `waxseal demo`, run as a newcomer runs it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Output, Stdio},
};
use waxseal::dns::{Dns, Outcome, RecordType, live};

/// An account that owns nothing.
const NOBODY: u32 = 65534;

/// A folder for the temporary files of one run, which every account may enter.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).expect("open to all");
    folder
}

fn demo(folder: &Path, arguments: &[&str]) -> Command {
    command(Path::new(env!("CARGO_BIN_EXE_waxseal")), folder, arguments)
}

fn command(program: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.arg("demo").args(arguments).env("TMPDIR", folder).env("TERM", "xterm");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What every run must tell: the selector, what was signed and verified, what was not and why, and what changed mail is.
#[track_caller]
fn tells_the_story(output: &Output) -> String {
    let (told, complaints) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{told}\n{complaints}");
    for (line, word) in [
        ("   selector ", "ncpcompubkr (provider ncloud, environment private, region kr)"),
        ("   DKIM ", "ncpcompubkr._domainkey.shop.example"),
        ("   receipt    signed ", "[영수증]"),
        ("   note       signed ", "warehouse@shop.example"),
        ("   relayed    not signed ", "news@partner.example"),
        ("   why not ", "no key is configured for the From domain partner.example"),
        ("  DKIM-Signature: v=1; a=rsa-sha256;", "d=shop.example"),
        ("   receipt    pass ", "key from DNS: 2 strings, 408 octets"),
        ("   note       pass ", "key from DNS: 2 strings, 408 octets"),
        ("   relayed    none ", "no signature"),
        ("   note       fail ", "bh= differs"),
        ("   note       permerror ", "dkim-key-split-across-records (certain)"),
        ("   fix ", "delete the 2 records"),
        ("Everything was as it should be.", ""),
    ] {
        assert!(told.lines().any(|found| found.starts_with(line) && found.contains(word)), "{line}…{word}\n{told}");
    }
    assert!(!told.contains('\x1b'), "a pipe gets no colour");
    assert_eq!(complaints, "");
    told
}

#[track_caller]
fn is_empty(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder).expect("a folder").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn it_shows_the_whole_job_and_leaves_nothing_behind() {
    let folder = folder();
    let output = demo(folder.path(), &[]).output().expect("it runs");
    let told = tells_the_story(&output);
    assert!(told.contains("waxseal config init --domain "), "{told}");
    is_empty(folder.path());
}

#[test]
fn what_goes_wrong_is_told_with_exit_status_1() {
    let output = demo(Path::new("/nonexistent"), &[]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let complaint = text(&output.stderr);
    assert!(complaint.contains("not as it should be: a temporary folder: "), "{complaint}");
}

/// A demo that stays, and what it has told so far. Killed when a test fails.
struct Staying {
    child: Child,
    told: BufReader<std::process::ChildStdout>,
}

impl Staying {
    fn start(folder: &Path) -> Staying {
        let mut child = demo(folder, &["--stay"]).stdout(Stdio::piped()).spawn().expect("it starts");
        let told = BufReader::new(child.stdout.take().expect("a pipe"));
        Staying { child, told }
    }

    /// Reads on to the first line that begins so; what follows on it.
    #[track_caller]
    fn line(&mut self, start: &str) -> String {
        let mut told = String::new();
        loop {
            let mut line = String::new();
            if self.told.read_line(&mut line).expect("readable") == 0 {
                panic!("no line begins with {start:?}:\n{told}");
            }
            if let Some(rest) = line.trim_end().strip_prefix(start) {
                return rest.to_owned();
            }
            told.push_str(&line);
        }
    }

    fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[tokio::test]
async fn staying_it_serves_dns_and_milter_until_it_is_told_to_end() {
    let folder = folder();
    let mut demo = Staying::start(folder.path());
    let milter: SocketAddr = demo.line("       smtpd_milters = inet:").parse().expect("an address");
    let dig = demo.line("       dig @");
    demo.line("   decisions from now on:");

    let [ip, _, port, name, _] = dig.split(' ').collect::<Vec<_>>()[..] else { panic!("{dig}") };
    let server: SocketAddr = format!("{ip}:{port}").parse().expect("an address");
    let dns = Dns::new(live::resolver(server));
    let key = dns.query(name, RecordType::Txt).await;
    assert_eq!(key.outcome, Outcome::Records);
    assert_eq!(key.txt().map(<[_]>::len).collect::<Vec<_>>(), [2]);
    assert!(key.joined_txt()[0].starts_with(b"v=DKIM1;k=rsa;p="));
    for (name, start) in [("shop.example", "v=spf1 "), ("_dmarc.shop.example", "v=DMARC1;")] {
        let joined = dns.query(name, RecordType::Txt).await.joined_txt();
        assert!(joined[0].starts_with(start.as_bytes()), "{name}");
    }
    assert_eq!(dns.query("other.shop.example", RecordType::Txt).await.outcome, Outcome::NxDomain);

    TcpStream::connect(milter).expect("the milter listens");
    assert_eq!(demo.terminate(), Some(0));
    assert!(TcpStream::connect(milter).is_err(), "the milter still listens");
    is_empty(folder.path());
}

/// Without root or without Postfix, what is missing is told; with both, the messages go through it.
#[test]
fn with_postfix_it_shows_the_same_through_a_private_instance() {
    let folder = folder();
    let output = demo(folder.path(), &["--postfix"]).output().expect("it runs");
    let is_root = rustix::process::geteuid().is_root();
    if is_root && Path::new("/usr/sbin/postfix").exists() {
        let told = tells_the_story(&output);
        let (_, rest) = told.split_once("a private instance, ").expect("the address of the instance");
        let (address, _) = rest.split_once(',').expect("a comma after the address");
        let address: SocketAddr = address.parse().expect("an address");
        assert!(TcpStream::connect(address).is_err(), "Postfix still runs");
        is_empty(folder.path());

        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("closed");
        let output = demo(folder.path(), &["--postfix"]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("Postfix's own account cannot enter "));
    } else {
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("demo --postfix: "));
    }
    is_empty(folder.path());
}

#[test]
fn without_root_the_demo_works_and_postfix_is_refused() {
    if !rustix::process::geteuid().is_root() {
        // The other tests have run without root then.
        return;
    }
    let (programs, folder) = (folder(), folder());
    let program = programs.path().join("waxseal");
    fs::copy(env!("CARGO_BIN_EXE_waxseal"), &program).expect("copied");
    let output = command(&program, folder.path(), &[]).uid(NOBODY).gid(NOBODY).output().expect("it runs");
    tells_the_story(&output);
    let output = command(&program, folder.path(), &["--postfix"]).uid(NOBODY).gid(NOBODY).output().expect("it runs");
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("Postfix starts only as root; run it with sudo"), "{complaint}");
    is_empty(folder.path());
}
