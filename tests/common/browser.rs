//! Chromium without a screen, driven as the WebDriver standard says; it ends when dropped and reaches this host alone.

use super::{eventually, open_folder, parts, process::Process, program, status::ask};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const START: Duration = Duration::from_secs(60);

/// A browser with one window.
pub struct Browser {
    driver: SocketAddr,
    session: String,
    process: Process,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// Starts one.
    #[track_caller]
    pub fn start() -> Browser {
        let folder = open_folder();
        let mut command = Command::new(program("/usr/bin/chromedriver"));
        command.args(["--port=0", "--allowed-ips=127.0.0.1"]).env("HOME", folder.path());
        let mut process = Process::start(command, folder.path().join("said"));
        let port: u16 = eventually("chromedriver listens", START, || {
            assert!(process.ended().is_none(), "{}", process.said());
            process.said().split("started successfully on port ").nth(1)?.split('.').next()?.parse().ok()
        });
        let mut browser =
            Browser { driver: ([127, 0, 0, 1], port).into(), session: String::new(), process, _folder: folder };
        let profile = format!("--user-data-dir={}", browser._folder.path().join("profile").display());
        let options = json!({
            "binary": program("/usr/bin/chromium"),
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", profile,
            ],
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let value = browser.request("POST", "/session", Some(&wanted));
        browser.session = value["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    /// Opens a page.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Shows pages as on a screen of this size, in light or dark.
    #[track_caller]
    pub fn screen(&self, width: u32, height: u32, scheme: &str) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600 }),
        );
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Lets pages run scripts, or none.
    #[track_caller]
    pub fn scripts(&self, allowed: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": !allowed }));
    }

    /// Runs the body of a function in the page.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Clicks on the first element of a selector.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        let id =
            element.as_object().and_then(|element| element.values().next()?.as_str()).expect("an element").to_owned();
        self.post(&format!("/element/{id}/click"), &json!({}));
    }

    /// Where it is.
    #[track_caller]
    pub fn url(&self) -> String {
        let value = self.request("GET", &format!("/session/{}/url", self.session), None);
        value.as_str().expect("a text").to_owned()
    }

    /// The whole page as a picture, and in a file.
    #[track_caller]
    pub fn picture(&self, file: &Path) -> Vec<u8> {
        let shot = json!({ "format": "png", "captureBeyondViewport": true });
        let command = json!({ "cmd": "Page.captureScreenshot", "params": shot });
        let path = format!("/session/{}/goog/cdp/execute", self.session);
        // A page that has just come may not be laid out, or attached to its window, yet.
        let value = eventually("the page is photographed", START, || {
            self.attempt("POST", &path, Some(&command)).inspect_err(|refusal| eprintln!("{refusal:#}")).ok()
        });
        let bytes = STANDARD.decode(value["data"].as_str().expect("a picture")).expect("base64");
        fs::write(file, &bytes).expect("written");
        bytes
    }

    /// What the console of the browser has said since it was last asked.
    #[track_caller]
    pub fn console(&self) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": "browser" })).as_array().cloned().unwrap_or_default()
    }

    /// What breaks the rules of accessibility on this page, as axe-core finds it: one line for each rule.
    #[track_caller]
    pub fn accessibility(&self) -> Vec<String> {
        let axe = fs::read_to_string(axe()).expect("axe-core: run tests/run, which has it");
        self.run(&axe);
        let script = "const done = arguments[arguments.length - 1]; axe.run().then(result => done(JSON.stringify(\
                      result.violations.map(v => v.id + ': ' + v.help + ': ' + v.nodes.map(n => n.html + ' ' + \
                      n.failureSummary).join(' | ')))));";
        let said = self.post("/execute/async", &json!({ "script": script, "args": [] }));
        serde_json::from_str(said.as_str().expect("a text")).expect("a list")
    }

    #[track_caller]
    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.request("POST", &format!("/session/{}{path}", self.session), Some(body))
    }

    #[track_caller]
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.attempt(method, path, body).unwrap_or_else(|refusal| panic!("{method} {path}: {refusal:#}"))
    }

    /// What it answers, or why it refuses.
    fn attempt(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = ask(
            self.driver,
            &format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        let value: Value = serde_json::from_str(&answer.body).expect("JSON");
        let value = value["value"].clone();
        if answer.status == 200 { Ok(value) } else { Err(value) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // Chromium is a child of its driver, and ends with its session.
            self.request("DELETE", &format!("/session/{}", self.session), None);
        }
        super::process::signal_group(self.process.id(), "KILL");
    }
}

/// The rules of axe-core.
fn axe() -> PathBuf {
    let folder = fs::read_dir(parts()).expect("the parts").flatten().find(|entry| {
        entry.file_name().to_string_lossy().starts_with("axe-")
            && !entry.file_name().to_string_lossy().ends_with(".tmp")
    });
    folder.expect("axe-core: run tests/run, which has it").path().join("axe_playwright_python/axe.min.js")
}
