//! A program that ends with the test: its process, what it says, and the signals it is sent.

use super::eventually;
use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// A running program and the file that takes what it says.
pub struct Process {
    name: String,
    child: Child,
    said: PathBuf,
}

impl Process {
    /// Starts a program; standard output and error go to the file `said`.
    pub fn start(command: Command, said: PathBuf) -> Process {
        Process::start_with(command, Stdio::null(), said)
    }

    /// As [`Process::start`], with a standard input.
    pub fn start_with(mut command: Command, input: Stdio, said: PathBuf) -> Process {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = File::options().create(true).append(true).open(&said).expect("the log can be written");
        let twin = file.try_clone().expect("a second handle");
        let child = command
            .stdin(input)
            .stdout(file)
            .stderr(twin)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Process { name, child, said }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        let bytes = std::fs::read(&self.said).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Has it ended, and how?
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// Sends it a signal by name: TERM, HUP, KILL.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends; it said: {}", self.name, self.said());
        eventually(&what, limit, || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Sends a signal to one process.
pub fn signal(pid: u32, name: &str) {
    // A process that has just ended cannot be signalled, which is what the sender wants.
    let _ = rustix::process::kill_process(process_id(pid), signal_of(name));
}

/// Sends a signal to a process that we started and to all that it started.
pub fn signal_group(pid: u32, name: &str) {
    let _ = rustix::process::kill_process_group(process_id(pid), signal_of(name));
}

fn process_id(pid: u32) -> rustix::process::Pid {
    i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id")
}

fn signal_of(name: &str) -> rustix::process::Signal {
    match name {
        "HUP" => rustix::process::Signal::HUP,
        "TERM" => rustix::process::Signal::TERM,
        "QUIT" => rustix::process::Signal::QUIT,
        "KILL" => rustix::process::Signal::KILL,
        "STOP" => rustix::process::Signal::STOP,
        "CONT" => rustix::process::Signal::CONT,
        other => panic!("unknown signal {other}"),
    }
}

/// Runs a program to its end and gives its standard output; panics with everything it said if it fails.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out
}
