//! The image configuration while it is being built, and how it is written: which fields, absent or null.
//! What an instruction sets in it is `steps::metadata`.

use std::collections::{BTreeMap, BTreeSet};

use samebuild_dockerfile::variants;
use serde_json::{Map, Value, json};

/// What images get when they have no PATH.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The `config` object of an image, and `author`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    pub user: String,
    pub exposed_ports: BTreeSet<String>,
    /// In order, each key once.
    pub env: Vec<(String, String)>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub volumes: BTreeSet<String>,
    pub working_dir: String,
    pub labels: BTreeMap<String, String>,
    pub stop_signal: Option<String>,
    pub args_escaped: bool,
    pub healthcheck: Option<Healthcheck>,
    pub on_build: Vec<String>,
    pub shell: Option<Vec<String>>,
    pub author: Option<String>,
    /// Whether labels were ever set, even to nothing: Docker's schema tells null from empty.
    pub labels_present: bool,
}

/// HEALTHCHECK; times in nanoseconds, 0 where not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Healthcheck {
    pub test: Vec<String>,
    pub interval: i64,
    pub timeout: i64,
    pub start_period: i64,
    pub start_interval: i64,
    pub retries: i64,
}

variants! {
    /// How a configuration is written.
    Schema {
        /// Every field of Docker's own schema, null where there is nothing, `container_config` beside `config`.
        EveryField = "every-field",
        /// Only fields that have a value, as the OCI schema with Docker's additions.
        OnlyPresent = "only-present",
        /// The same, but `OnBuild` is there even when it is null.
        OnlyPresentAndOnBuild = "only-present-and-on-build",
    }
}

impl Config {
    /// Reads the `config` object and `author` of an image's configuration; fields of an unexpected type are passed over.
    pub fn of_image(config: &Map<String, Value>) -> Self {
        let empty = Map::new();
        let runtime = config.get("config").and_then(Value::as_object).unwrap_or(&empty);
        let text = |key: &str| runtime.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |key: &str| runtime.get(key).and_then(Value::as_array).map(|items| strings(items));
        let keys = |key: &str| {
            runtime
                .get(key)
                .and_then(Value::as_object)
                .map_or_else(BTreeSet::new, |map| map.keys().cloned().collect())
        };
        let labels = runtime.get("Labels").and_then(Value::as_object);
        Self {
            user: text("User"),
            exposed_ports: keys("ExposedPorts"),
            env: list("Env").unwrap_or_default().iter().map(|pair| split_pair(pair)).collect(),
            entrypoint: list("Entrypoint"),
            cmd: list("Cmd"),
            volumes: keys("Volumes"),
            working_dir: text("WorkingDir"),
            labels_present: labels.is_some(),
            labels: labels.map_or_else(BTreeMap::new, |map| {
                map.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
            }),
            stop_signal: runtime
                .get("StopSignal")
                .and_then(Value::as_str)
                .filter(|s| !s.is_empty())
                .map(str::to_owned),
            args_escaped: runtime.get("ArgsEscaped").and_then(Value::as_bool).unwrap_or(false),
            healthcheck: runtime.get("Healthcheck").and_then(Value::as_object).map(healthcheck),
            on_build: list("OnBuild").unwrap_or_default(),
            shell: list("Shell"),
            author: config.get("author").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// The value of an environment variable.
    pub fn get_env(&self, key: &str) -> Option<&str> {
        self.env.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Sets a variable in its old place, or at the end.
    pub fn set_env(&mut self, key: &str, value: &str) {
        match self.env.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.env.push((key.to_owned(), value.to_owned())),
        }
    }

    /// The shell that RUN, CMD and ENTRYPOINT in shell form use.
    pub fn shell(&self) -> Vec<String> {
        self.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()])
    }

    /// The `config` object as `schema` writes it.
    pub fn write(&self, schema: Schema) -> Map<String, Value> {
        match schema {
            Schema::EveryField => self.docker(),
            Schema::OnlyPresent => self.only_present(),
            Schema::OnlyPresentAndOnBuild => {
                let mut out = self.only_present();
                out.entry("OnBuild").or_insert(Value::Null);
                out
            }
        }
    }

    fn docker(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
        put("Hostname", "".into());
        put("Domainname", "".into());
        put("User", self.user.clone().into());
        for key in ["AttachStdin", "AttachStdout", "AttachStderr"] {
            put(key, false.into());
        }
        if !self.exposed_ports.is_empty() {
            put("ExposedPorts", set(&self.exposed_ports));
        }
        for key in ["Tty", "OpenStdin", "StdinOnce"] {
            put(key, false.into());
        }
        put("Env", json!(self.pairs()));
        put("Cmd", json!(self.cmd));
        if let Some(check) = &self.healthcheck {
            put("Healthcheck", check.write());
        }
        if self.args_escaped {
            put("ArgsEscaped", true.into());
        }
        put("Image", "".into());
        put("Volumes", if self.volumes.is_empty() { Value::Null } else { set(&self.volumes) });
        put("WorkingDir", self.working_dir.clone().into());
        put("Entrypoint", json!(self.entrypoint));
        put("OnBuild", if self.on_build.is_empty() { Value::Null } else { json!(self.on_build) });
        put("Labels", if self.labels_present { json!(self.labels) } else { Value::Null });
        if let Some(signal) = &self.stop_signal {
            put("StopSignal", signal.clone().into());
        }
        if let Some(shell) = &self.shell {
            put("Shell", json!(shell));
        }
        out
    }

    fn only_present(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                out.insert(key.to_owned(), value);
            }
        };
        let some_text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        put("User", some_text(&self.user));
        put("ExposedPorts", (!self.exposed_ports.is_empty()).then(|| set(&self.exposed_ports)));
        put("Env", (!self.env.is_empty()).then(|| json!(self.pairs())));
        put("Entrypoint", self.entrypoint.as_ref().filter(|list| !list.is_empty()).map(|list| json!(list)));
        put("Cmd", self.cmd.as_ref().filter(|list| !list.is_empty()).map(|list| json!(list)));
        put("Volumes", (!self.volumes.is_empty()).then(|| set(&self.volumes)));
        put("WorkingDir", some_text(&self.working_dir));
        put("Labels", (!self.labels.is_empty()).then(|| json!(self.labels)));
        put("StopSignal", self.stop_signal.clone().map(Value::from));
        put("ArgsEscaped", self.args_escaped.then(|| Value::from(true)));
        put("Healthcheck", self.healthcheck.as_ref().map(Healthcheck::write));
        put("OnBuild", (!self.on_build.is_empty()).then(|| json!(self.on_build)));
        put("Shell", self.shell.as_ref().filter(|list| !list.is_empty()).map(|list| json!(list)));
        out
    }

    fn pairs(&self) -> Vec<String> {
        self.env.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }
}

impl Healthcheck {
    /// Takes every number that is not given from `old`.
    pub fn fill_from(&mut self, old: &Self) {
        let pairs = [
            (&mut self.interval, old.interval),
            (&mut self.timeout, old.timeout),
            (&mut self.start_period, old.start_period),
            (&mut self.start_interval, old.start_interval),
            (&mut self.retries, old.retries),
        ];
        for (new, old) in pairs {
            if *new == 0 {
                *new = old;
            }
        }
    }

    fn write(&self) -> Value {
        let mut out = Map::new();
        if !self.test.is_empty() {
            out.insert("Test".into(), json!(self.test));
        }
        let numbers = [
            ("Interval", self.interval),
            ("Timeout", self.timeout),
            ("StartPeriod", self.start_period),
            ("StartInterval", self.start_interval),
            ("Retries", self.retries),
        ];
        for (key, number) in numbers.into_iter().filter(|(_, number)| *number != 0) {
            out.insert(key.into(), number.into());
        }
        Value::Object(out)
    }
}

fn healthcheck(map: &Map<String, Value>) -> Healthcheck {
    let number = |key: &str| map.get(key).and_then(Value::as_i64).unwrap_or(0);
    Healthcheck {
        test: map.get("Test").and_then(Value::as_array).map_or_else(Vec::new, |items| strings(items)),
        interval: number("Interval"),
        timeout: number("Timeout"),
        start_period: number("StartPeriod"),
        start_interval: number("StartInterval"),
        retries: number("Retries"),
    }
}

fn strings(items: &[Value]) -> Vec<String> {
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// `KEY=value`; a pair without `=` has an empty value.
pub fn split_pair(pair: &str) -> (String, String) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    (key.to_owned(), value.to_owned())
}

fn set(keys: &BTreeSet<String>) -> Value {
    Value::Object(keys.iter().map(|key| (key.clone(), json!({}))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_either_schema_reads_back_the_same() {
        let config = Config {
            user: "app".into(),
            env: vec![("PATH".into(), "/bin".into()), ("A".into(), "x=y".into())],
            cmd: Some(vec!["sh".into()]),
            labels: BTreeMap::from([("a".into(), "1".into())]),
            labels_present: true,
            healthcheck: Some(Healthcheck {
                test: vec!["NONE".into()],
                interval: 5,
                ..Healthcheck::default()
            }),
            ..Config::default()
        };
        for schema in [Schema::EveryField, Schema::OnlyPresent, Schema::OnlyPresentAndOnBuild] {
            let mut image = Map::new();
            image.insert("config".into(), Value::Object(config.write(schema)));
            assert_eq!(Config::of_image(&image), config);
        }
    }

    #[test]
    fn a_variable_set_again_keeps_its_place() {
        let mut config =
            Config { env: vec![("Z".into(), "1".into()), ("A".into(), "1".into())], ..Config::default() };
        config.set_env("Z", "2");
        assert_eq!(config.pairs(), ["Z=2", "A=1"]);
    }
}
