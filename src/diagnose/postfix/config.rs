//! Postfix's configuration as text: main.cf, master.cf and, where the program is there, the values that postconf(1) gives.
//!
//! Pure: files are read elsewhere. Values are expanded as far as plain `$name` goes; what is conditional stays as it is.

use std::collections::HashMap;

/// Defaults of Postfix that matter here, for where postconf(1) is not there to say them.
const DEFAULTS: &[(&str, &str)] = &[
    ("compatibility_level", "0"),
    ("disable_mime_output_conversion", "no"),
    ("milter_default_action", "tempfail"),
    ("milter_protocol", "6"),
    ("queue_directory", "/var/spool/postfix"),
    ("smtp_line_length_limit", "998"),
    ("smtputf8_enable", "yes"),
];

/// `$name` in a value that leads to itself ends here.
const DEEPEST: usize = 20;

/// A line of main.cf.
#[derive(Clone, Debug)]
struct Parameter {
    value: String,
    line: usize,
}

/// A service of master.cf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `smtp`, `submission`, `127.0.0.1:10025`.
    pub name: String,
    /// `inet`, `unix`, `fifo` or `pass`.
    pub kind: String,
    /// Does it run in the queue directory as its root?
    pub chroot: bool,
    /// The program.
    pub command: String,
    /// `-o name=value`.
    overrides: Vec<(String, String)>,
    /// The line of master.cf.
    pub line: usize,
}

/// A milter of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milter {
    /// `inet:127.0.0.1:8891`, `unix:waxseal/milter.sock`.
    pub socket: String,
    /// Its own settings, in braces.
    pub own: Vec<(String, String)>,
}

/// The configuration.
#[derive(Debug, Default)]
pub struct Config {
    main: HashMap<String, Parameter>,
    effective: HashMap<String, String>,
    /// The services, in order.
    pub services: Vec<Service>,
    tables: HashMap<String, String>,
}

impl Config {
    /// Reads the two files; `postconf` is what `postconf -x -c DIR` prints, if anything.
    pub fn read(main: &str, master: &str, postconf: Option<&str>) -> Config {
        let mut config = Config::default();
        for (line, text) in logical_lines(main) {
            if let Some((name, value)) = text.split_once('=') {
                let parameter = Parameter { value: value.trim().to_owned(), line };
                config.main.insert(name.trim().to_owned(), parameter);
            }
        }
        for line in postconf.unwrap_or_default().lines() {
            if let Some((name, value)) = line.split_once('=') {
                config.effective.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        let level = config.value(None, "compatibility_level");
        let chroot_default = level.split('.').next().and_then(|major| major.parse::<u32>().ok()) == Some(0);
        config.services =
            logical_lines(master).into_iter().filter_map(|(line, text)| service(line, &text, chroot_default)).collect();
        config
    }

    /// With the text of a lookup table, by its name as the configuration writes it (`regexp:/etc/postfix/checks`).
    pub fn with_table(mut self, name: &str, text: String) -> Config {
        self.tables.insert(name.to_owned(), text);
        self
    }

    /// The value that holds: for a service what its line says, else main.cf, else the default; expanded.
    pub fn value(&self, service: Option<&Service>, name: &str) -> String {
        self.expanded(service, name, 0)
    }

    /// Is it `yes`?
    pub fn is(&self, service: Option<&Service>, name: &str) -> bool {
        self.value(service, name).eq_ignore_ascii_case("yes")
    }

    /// The words of a list.
    pub fn list(&self, service: Option<&Service>, name: &str) -> Vec<String> {
        let value = self.value(service, name);
        value.split([',', ' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// The milters of a list.
    pub fn milters(&self, service: Option<&Service>, name: &str) -> Vec<Milter> {
        items(&self.value(service, name)).into_iter().filter_map(|item| milter(&item)).collect()
    }

    /// Where a value stands: `main.cf:12`, `master.cf:40`, or that it is the default.
    pub fn place(&self, service: Option<&Service>, name: &str) -> String {
        if let Some(service) = service
            && service.own(name).is_some()
        {
            return format!("master.cf:{} ({})", service.line, service.name);
        }
        match self.main.get(name) {
            Some(parameter) => format!("main.cf:{}", parameter.line),
            None => format!("the default of {name}"),
        }
    }

    /// Services that run a program.
    pub fn running<'c>(&'c self, command: &'c str) -> impl Iterator<Item = &'c Service> {
        self.services.iter().filter(move |service| service.command == command)
    }

    /// The tables that a parameter names, each with its text where it is known.
    pub fn tables(&self, service: Option<&Service>, name: &str) -> Vec<(String, Option<String>)> {
        let known = |name: String| {
            let inline = name.split_once(":{").map(|(_, rest)| rest.trim_end_matches('}'));
            let text = inline.map(|rest| items(rest).join("\n")).or_else(|| self.tables.get(&name).cloned());
            (name, text)
        };
        items(&self.value(service, name)).into_iter().map(known).collect()
    }

    fn raw<'a>(&'a self, service: Option<&'a Service>, name: &str) -> Option<&'a str> {
        let own = service.and_then(|service| service.own(name));
        let main = || self.main.get(name).map(|parameter| parameter.value.as_str());
        let effective = || self.effective.get(name).map(String::as_str);
        let default = || DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        // Only Postfix itself knows what a conditional value comes to.
        let plain = |value: &&str| !(value.contains("${") && value.contains('?'));
        own.or_else(|| main().filter(plain)).or_else(effective).or_else(main).or_else(default)
    }

    fn expanded(&self, service: Option<&Service>, name: &str, depth: usize) -> String {
        let raw = self.raw(service, name).unwrap_or_default();
        if depth > DEEPEST || !raw.contains('$') {
            return raw.to_owned();
        }
        let mut out = String::new();
        let mut rest = raw;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let inner = after.strip_prefix(['{', '(']);
            let start = inner.unwrap_or(after);
            let end = start.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(start.len());
            let (word, tail) = start.split_at(end);
            let closed = if inner.is_some() { tail.strip_prefix(['}', ')']) } else { Some(tail) };
            match closed.filter(|_| !word.is_empty()) {
                Some(tail) => {
                    out.push_str(&self.expanded(service, word, depth + 1));
                    rest = tail;
                }
                None => {
                    out.push('$');
                    rest = after;
                }
            }
        }
        out + rest
    }
}

impl Service {
    /// What its line says of a parameter.
    pub fn own(&self, name: &str) -> Option<&str> {
        self.overrides.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Does it listen on this machine alone, as a service for mail that comes back from a filter does?
    pub fn is_loopback(&self) -> bool {
        let host = self.name.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']));
        self.kind == "inet" && host.is_some_and(|host| host.starts_with("127.") || matches!(host, "localhost" | "::1"))
    }
}

/// Lines with their continuations, numbered by the first; comments and empty lines left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, last)) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(trimmed);
            }
            _ => lines.push((number, trimmed.to_owned())),
        }
    }
    lines
}

/// Items between commas and blanks; what stands in braces is one.
fn items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match items.last_mut() {
            Some(last) if depth > 0 || !(c == ',' || c.is_whitespace()) => last.push(c),
            _ => items.push(String::new()),
        }
    }
    items.into_iter().map(|item| braced(&item).to_owned()).filter(|item| !item.is_empty()).collect()
}

fn braced(item: &str) -> &str {
    item.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(item).trim()
}

fn milter(item: &str) -> Option<Milter> {
    let mut words = items(item).into_iter();
    let socket = words.next()?;
    let own =
        words.filter_map(|word| word.split_once('=').map(|(name, value)| (name.trim().into(), value.trim().into())));
    Some(Milter { socket, own: own.collect() })
}

fn service(line: usize, text: &str, chroot_default: bool) -> Option<Service> {
    let mut words = text.split_whitespace();
    let mut next = || words.next().map(str::to_owned);
    let (name, kind, _private, _unprivileged, chroot) = (next()?, next()?, next()?, next()?, next()?);
    let (_wakeup, _limit, command) = (next()?, next()?, next()?);
    let chroot = match chroot.as_str() {
        "-" => chroot_default,
        other => other == "y",
    };
    let rest: Vec<&str> = words.collect();
    Some(Service { name, kind, chroot, command, overrides: overrides(&rest.join(" ")), line })
}

/// `-o name=value` and `-o { name = value }`.
fn overrides(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = items(&text.replace(',', "\u{1}")).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.as_str() {
            "-o" => words.next(),
            glued => glued.strip_prefix("-o").map(str::to_owned),
        };
        if let Some((name, value)) = setting.as_deref().and_then(|setting| setting.split_once('=')) {
            found.push((name.trim().to_owned(), value.trim().replace('\u{1}', ",")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read_as_postfix_reads_them() {
        let main = "# comment\nours = inet:127.0.0.1:8891\nsmtpd_milters =\n  inet:127.0.0.1:11332,\n# between\n  $ours\n\
                    non_smtpd_milters = ${smtpd_milters}\nloop = $loop\nodd = ${x?y}\n";
        let master = "smtp inet n - y - - smtpd\n  -o { smtpd_milters = { inet:localhost:1, default_action=accept }, unix:a/b }\n\
                      # note\n  -o content_filter=scan:[127.0.0.1]:10024\n127.0.0.1:10025 inet n - - - - smtpd -o smtpd_milters=\n";
        let config = Config::read(main, master, Some("milter_protocol = 6\nsmtp_line_length_limit = 998\n"));
        let sockets =
            |service, name| config.milters(service, name).into_iter().map(|milter| milter.socket).collect::<Vec<_>>();
        assert_eq!(sockets(None, "non_smtpd_milters"), ["inet:127.0.0.1:11332", "inet:127.0.0.1:8891"]);
        assert_eq!(config.place(None, "smtpd_milters"), "main.cf:3");
        assert_eq!((config.value(None, "loop"), config.value(None, "odd")), ("$loop".into(), "${x?y}".into()));
        let [smtp, back] = &config.services[..] else { panic!("{:?}", config.services) };
        let own = config.milters(Some(smtp), "smtpd_milters");
        assert_eq!(own[0].own, [("default_action".into(), "accept".into())]);
        assert_eq!((own[0].socket.as_str(), own[1].socket.as_str()), ("inet:localhost:1", "unix:a/b"));
        assert_eq!(config.value(Some(smtp), "content_filter"), "scan:[127.0.0.1]:10024");
        assert_eq!(config.place(Some(smtp), "content_filter"), "master.cf:1 (smtp)");
        assert!(smtp.chroot && back.chroot, "level 0 means a chroot where nothing is said");
        assert!(!smtp.is_loopback() && back.is_loopback() && sockets(Some(back), "smtpd_milters").is_empty());
    }
}
