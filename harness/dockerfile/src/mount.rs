//! `RUN --mount`: its comma separated fields when parsed, and the mount they mean once expanded.
//!
//! Only `from` is looked at when the file is parsed; everything else waits for variables. Cache identity,
//! default paths of secrets and where a relative target points are left to the builder.

use crate::csv;
use crate::error::{Class, Fault};
use crate::span::Span;
use crate::suggest;
use crate::syntax::{MountFields, Support, Syntax};
use crate::words::Word;

/// One `--mount` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountFlag {
    /// The whole value.
    pub text: Word,
    /// `key=value` fields in order, keys in lower case; `None` where there is no `=`.
    pub fields: Vec<(String, Option<String>)>,
    /// `from`: a stage's name or an image; never holds a variable.
    pub from: Option<String>,
}

/// What kind of mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the type of its name")]
pub enum MountType {
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

impl MountType {
    const NAMES: &'static [(&'static str, MountType)] = &[
        ("bind", Self::Bind),
        ("cache", Self::Cache),
        ("tmpfs", Self::Tmpfs),
        ("secret", Self::Secret),
        ("ssh", Self::Ssh),
    ];

    /// As written after `type=`.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("bind", |(name, _)| name)
    }
}

/// How concurrent builds share a cache mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the mode of its name")]
pub enum Sharing {
    Shared,
    Private,
    Locked,
}

/// A mount, expanded and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `type`, bind if not given.
    pub kind: MountType,
    /// `from`.
    pub from: Option<String>,
    /// `source`, empty if not given.
    pub source: String,
    /// `target`, empty if not given.
    pub target: String,
    /// Read-only; by default all but caches and tmpfs are.
    pub read_only: bool,
    /// `id`.
    pub id: Option<String>,
    /// `sharing`.
    pub sharing: Option<Sharing>,
    /// `required`.
    pub required: bool,
    /// `size` of a tmpfs in bytes.
    pub size_bytes: Option<u64>,
    /// `mode`.
    pub mode: Option<u32>,
    /// `uid`.
    pub uid: Option<u32>,
    /// `gid`.
    pub gid: Option<u32>,
    /// `env`: the variable that holds a secret.
    pub env: Option<String>,
}

/// A `--mount` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mount {text:?}: {problem}")]
pub struct MountError {
    /// The flag's value.
    pub text: String,
    /// Our words, naming the accepted forms.
    pub problem: String,
    /// What BuildKit prints.
    pub builder_message: String,
}

impl MountFlag {
    pub(crate) fn parse(word: Word) -> Result<Self, Fault> {
        let bad =
            |span: Span, message: String, says: String| Fault::new(Class::BadMount, span, message).says(says);
        let fields = csv::fields(&word.text).map_err(|why| {
            let message = format!("split --mount={} into comma separated fields: {why}", word.text);
            bad(word.span, message, format!("failed to parse csv mounts: {why}"))
        })?;
        let fields: Vec<(String, Option<String>)> = fields
            .into_iter()
            .map(|field| match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
                None => (field.to_lowercase(), None),
            })
            .collect();
        let mut from = None;
        for (_, value) in fields.iter().filter(|(key, value)| key == "from" && value.is_some()) {
            let value = value.clone().unwrap_or_default();
            if value.find('$').is_some_and(|at| at + 1 < value.len()) {
                let message = "expand a variable in from of a --mount; name a stage with FROM … AS instead";
                let says = "'from' doesn't support variable expansion, define alias stage instead";
                return Err(bad(word.span, message.to_owned(), says.to_owned()));
            }
            from = Some(value).filter(|value| !value.is_empty());
        }
        Ok(Self { text: word, fields, from })
    }

    /// What is wrong with it as it is written, where nothing depends on a variable that may yet be expanded.
    pub(crate) fn fault(&self, syntax: &Syntax) -> Option<Fault> {
        if syntax.mount_fields == MountFields::WhenReached && self.text.text.contains('$') {
            return None;
        }
        let error = self.resolve(syntax, |value| Ok::<_, MountError>(value.to_owned())).err()?;
        Some(Fault::new(Class::BadMount, self.text.span, error.to_string()).says(error.builder_message))
    }

    /// The mount, its values put through `expand`, which has its own error type.
    pub fn resolve<E: From<MountError>>(
        &self,
        syntax: &Syntax,
        mut expand: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<Mount, E> {
        let mut draft = Draft::new(&self.text.text, syntax);
        for (key, value) in &self.fields {
            match value {
                Some(value) if syntax.mount_fields == MountFields::WhenRead => draft.set(key, value)?,
                Some(value) => draft.set(key, &expand(value)?)?,
                None => draft.switch(key)?,
            }
        }
        Ok(draft.finish()?)
    }
}

struct Draft<'a> {
    text: &'a str,
    size: Support,
    secret_env: Support,
    mount: Mount,
    read_only_given: bool,
}

impl<'a> Draft<'a> {
    fn new(text: &'a str, syntax: &Syntax) -> Self {
        let mount = Mount {
            kind: MountType::Bind,
            from: None,
            source: String::new(),
            target: String::new(),
            read_only: false,
            id: None,
            sharing: None,
            required: false,
            size_bytes: None,
            mode: None,
            uid: None,
            gid: None,
            env: None,
        };
        Self {
            text,
            size: syntax.mount_size,
            secret_env: syntax.mount_secret_env,
            mount,
            read_only_given: false,
        }
    }

    fn error(&self, problem: impl Into<String>, says: impl Into<String>) -> MountError {
        MountError { text: self.text.to_owned(), problem: problem.into(), builder_message: says.into() }
    }

    /// A field without `=`.
    fn switch(&mut self, key: &str) -> Result<(), MountError> {
        match key {
            "readonly" | "ro" => self.read_only(true),
            "readwrite" | "rw" => self.read_only(false),
            "required" if self.can_require() => self.mount.required = true,
            "required" => return Err(self.misplaced(key)),
            _ => {
                let problem = format!(
                    "{key:?} needs a value; only ro, readonly, rw, readwrite and required stand alone"
                );
                return Err(self.error(problem, format!("invalid field '{key}' must be a key=value pair")));
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), MountError> {
        match key {
            "type" => {
                let names = MountType::NAMES.iter().map(|(name, _)| *name);
                self.mount.kind = MountType::NAMES
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(value))
                    .map(|(_, kind)| *kind)
                    .ok_or_else(|| self.unknown("mount type", value, names))?;
            }
            "from" => self.mount.from = Some(value.to_owned()).filter(|from| !from.is_empty()),
            "source" | "src" => self.mount.source = value.to_owned(),
            "target" | "dst" | "destination" => self.mount.target = value.to_owned(),
            "readonly" | "ro" => {
                let on = self.boolean(key, value)?;
                self.read_only(on);
            }
            "readwrite" | "rw" => {
                let on = self.boolean(key, value)?;
                self.read_only(!on);
            }
            "required" if self.can_require() => self.mount.required = self.boolean(key, value)?,
            "size" if self.size == Support::Present && self.mount.kind == MountType::Tmpfs => {
                self.mount.size_bytes = Some(size_bytes(value).ok_or_else(|| {
                    self.error(
                        format!("size={value} is no size; write 64m or 1GiB"),
                        format!("invalid value for size: {value}"),
                    )
                })?);
            }
            "id" => self.mount.id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            "sharing" => {
                let modes =
                    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];
                self.mount.sharing = Some(
                    modes
                        .into_iter()
                        .find(|(name, _)| name.eq_ignore_ascii_case(value))
                        .map(|(_, sharing)| sharing)
                        .ok_or_else(|| {
                            self.unknown("sharing value", value, modes.iter().map(|(name, _)| *name))
                        })?,
                );
            }
            "mode" => self.mount.mode = Some(self.number(key, value, 8)?),
            "uid" => self.mount.uid = Some(self.number(key, value, 10)?),
            "gid" => self.mount.gid = Some(self.number(key, value, 10)?),
            "env" if self.secret_env == Support::Present => self.mount.env = Some(value.to_owned()),
            "required" => return Err(self.misplaced(key)),
            "size" if self.size == Support::Present => return Err(self.misplaced(key)),
            _ => {
                let known = "type, from, source, target, readonly, readwrite, id, sharing, required, size, mode, uid, gid";
                let field = format!("{key}={value}");
                let says = format!("unexpected key '{key}' in '{field}'");
                return Err(self.error(format!("there is no field {key:?}; there are {known}"), says));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Mount, MountError> {
        let kind = self.mount.kind;
        let owns = matches!(kind, MountType::Secret | MountType::Ssh | MountType::Cache);
        let given = [("mode", self.mount.mode), ("uid", self.mount.uid), ("gid", self.mount.gid)];
        if let Some((key, _)) = given.into_iter().find(|(_, value)| !owns && value.is_some()) {
            let problem = format!("{key} is for cache, secret and ssh mounts, not for {}", kind.name());
            return Err(self.error(problem, format!("{key} not allowed for {:?} type mounts", kind.name())));
        }
        if !self.read_only_given {
            self.mount.read_only = !matches!(kind, MountType::Cache | MountType::Tmpfs);
        }
        if kind == MountType::Secret {
            self.check_secret()?;
        }
        if self.mount.sharing.is_some() && kind != MountType::Cache {
            let problem = format!("sharing is for cache mounts, not for {}", kind.name());
            return Err(self.error(problem, format!("invalid cache sharing set for {} mount", kind.name())));
        }
        Ok(self.mount)
    }

    fn check_secret(&self) -> Result<(), MountError> {
        let Mount { from, source, target, id, sharing, env, .. } = &self.mount;
        let says = if from.is_some() {
            "secret mount should not have a from"
        } else if sharing.is_some() {
            "secret mount should not define sharing"
        } else if source.is_empty() && target.is_empty() && id.is_none() && env.is_none() {
            "invalid secret mount. one of source, target required"
        } else if !source.is_empty() && id.is_some() {
            "both source and id can't be set"
        } else {
            return Ok(());
        };
        Err(self.error(format!("{says}; a secret takes id, target, env and required"), says))
    }

    fn read_only(&mut self, on: bool) {
        self.mount.read_only = on;
        self.read_only_given = true;
    }

    fn can_require(&self) -> bool {
        matches!(self.mount.kind, MountType::Secret | MountType::Ssh)
    }

    fn misplaced(&self, key: &str) -> MountError {
        let kind = self.mount.kind.name();
        let problem = format!("{key} does not go with type={kind} (type must come before it)");
        self.error(problem, format!("unexpected key '{key}' for mount type '{kind}'"))
    }

    fn unknown<'n>(
        &self,
        what: &str,
        value: &str,
        known: impl Iterator<Item = &'n str> + Clone,
    ) -> MountError {
        let near = suggest::nearest(value, known.clone()).map(|near| format!(" (did you mean {near}?)"));
        let says =
            format!("unsupported {what} {}{}", crate::quote::go_quote(value), near.unwrap_or_default());
        let known = known.collect::<Vec<_>>().join(", ");
        self.error(format!("{value:?} is no {what}; there are {known}"), says)
    }

    fn boolean(&self, key: &str, value: &str) -> Result<bool, MountError> {
        match value {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            _ => Err(self.error(
                format!("{key}={value} is neither true nor false"),
                format!("invalid value for {key}: {value}"),
            )),
        }
    }

    fn number(&self, key: &str, value: &str, base: u32) -> Result<u32, MountError> {
        let digits = !value.is_empty() && value.chars().all(|c| c.is_digit(base));
        u32::from_str_radix(value, base).ok().filter(|_| digits).ok_or_else(|| {
            let kind = if base == 8 { "octal" } else { "decimal" };
            self.error(
                format!("{key}={value} is no {kind} number"),
                format!("invalid value {value} for {key}"),
            )
        })
    }
}

/// `64m`, `1.5GiB`, `10 kb`: binary multiples, as docker's go-units.
fn size_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let power = match unit.strip_suffix('i').filter(|unit| !unit.is_empty()).unwrap_or(unit) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let bytes = number * 1024f64.powi(power);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..9e18).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let word = Word { text: text.to_owned(), span: Span::default() };
        let shown = match MountFlag::parse(word) {
            Err(fault) => format!("parse: {}", fault.builder.unwrap_or_default()),
            Ok(flag) => {
                match flag.resolve::<MountError>(&Syntax::BUILDKIT_HEAD, |value| Ok(value.replace("$V", "v")))
                {
                    Err(error) => format!("build: {}", error.builder_message),
                    Ok(Mount { kind, source, target, read_only, size_bytes, mode, .. }) => format!(
                        "{} {source:?} {target:?} ro={read_only} size={size_bytes:?} mode={mode:?}",
                        kind.name()
                    ),
                }
            }
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn fields_make_a_mount() {
        check("target=/b", expect![[r#"bind "" "/b" ro=true size=None mode=None"#]]);
        check(
            "type=cache,target=/$V,mode=0700",
            expect![[r#"cache "" "/v" ro=false size=None mode=Some(448)"#]],
        );
        check(
            "type=tmpfs,dst=/t,size=1.5k",
            expect![[r#"tmpfs "" "/t" ro=false size=Some(1536) mode=None"#]],
        );
        check(
            "type=bind,rw,\"source=a,b\",target=/",
            expect![[r#"bind "a,b" "/" ro=false size=None mode=None"#]],
        );
    }

    #[test]
    fn mistakes_are_found_when_parsed_or_when_built() {
        check(
            "from=$x,target=/",
            expect!["parse: 'from' doesn't support variable expansion, define alias stage instead"],
        );
        check("type=\"x", expect!["parse: failed to parse csv mounts: bare \" in non-quoted-field"]);
        check(
            "type=chache,target=/",
            expect!["build: unsupported mount type \"chache\" (did you mean cache?)"],
        );
        check("type=bind,mode=1", expect!["build: mode not allowed for \"bind\" type mounts"]);
        check("type=secret", expect!["build: invalid secret mount. one of source, target required"]);
        check("required,type=secret", expect!["build: unexpected key 'required' for mount type 'bind'"]);
        check("target", expect!["build: invalid field 'target' must be a key=value pair"]);
        check("sharing=locked,target=/x", expect!["build: invalid cache sharing set for bind mount"]);
    }
}
